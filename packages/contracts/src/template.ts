import { z } from 'zod';
import { categorySchema, channelsSchema, prioritySchema, templateIdSchema } from './notification.js';

/** Bytes a template's body may have. */
export const TEMPLATE_MAX_BYTES = 64 * 1024;
const TITLE_MAX_CHARACTERS = 1000;

/** A template as it is registered. Its text is mustache; every tag is text and must be supplied. */
export const templateSchema = z.strictObject({
  id: templateIdSchema,
  title: z.string().min(1).max(TITLE_MAX_CHARACTERS),
  body: z.string().min(1).max(TEMPLATE_MAX_BYTES),
  channels: channelsSchema,
  priority: prioritySchema.optional(),
  category: categorySchema.optional(),
  required: z.boolean().optional(),
});
export type Template = z.input<typeof templateSchema>;
