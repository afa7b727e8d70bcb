import { z } from 'zod';

/** Bytes the text of one part of a template may have. */
export const TEMPLATE_MAX_BYTES = 64 * 1024;

/** The mustache text of one part of a template. */
export const source = z.string().min(1).max(TEMPLATE_MAX_BYTES);

/** A mail address as HTML's `<input type=email>` takes it, at most 320 characters. */
export const emailAddressSchema = z.email({ pattern: z.regexes.html5Email, error: 'must be a mail address' }).max(320);
