import { z } from 'zod';

/** Bytes the text of one part of a template may have. */
export const TEMPLATE_MAX_BYTES = 64 * 1024;

/** The mustache text of one part of a template. */
export const source = z.string().min(1).max(TEMPLATE_MAX_BYTES);

/** A mail address as HTML's `<input type=email>` takes it, at most 320 characters. */
export const emailAddressSchema = z.email({ pattern: z.regexes.html5Email, error: 'must be a mail address' }).max(320);

/** Who a mail is from: an address, or a name and an address. */
export interface Sender {
  readonly name: string;
  readonly address: string;
}

/** Reads `office@clinic.example` or `The Clinic <office@clinic.example>` (RFC 5322, without its comments and groups); undefined for anything else. */
export function readSender(text: string): Sender | undefined {
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) return undefined;
  const [, quoted, plain, inside, bare] = /^(?:(?:"([^"\\<>]*)"|([^"\\<>,;:@]*?)) *<([^<>]+)>|([^<>]+))$/.exec(text.trim()) ?? [];
  const address = (inside ?? bare ?? '').trim();
  const name = (quoted ?? plain ?? '').trim();
  return emailAddressSchema.safeParse(address).success ? { name, address } : undefined;
}

/** A sender, as `readSender` reads it. */
export const senderSchema = z
  .string()
  .max(400)
  .refine(
    (text) => readSender(text) !== undefined,
    'must be a mail address, or a name and an address such as Clinic <office@clinic.example>',
  );
