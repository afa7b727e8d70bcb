import { z } from 'zod';
import { dataClasses } from './channels/definition.js';
import { channelParts } from './channels/index.js';
import { categorySchema, channelsSchema, prioritySchema, templateIdSchema } from './notification.js';
import { source } from './source.js';
import { profileSchema } from './user.js';

const TITLE_MAX_CHARACTERS = 1000;
/** Names that would reach past data into the language. */
const FORBIDDEN_NAMES = ['__proto__', 'constructor', 'prototype'];
/** More belong into several templates: every variant is checked with every notification. */
const MAX_LOCALES = 50;
const MAX_FIELDS = 100;

const title = z.string().min(1).max(TITLE_MAX_CHARACTERS);
const { email, push, sms } = channelParts;

/** What the data of a template holds under one name. */
const fieldSchema = z.strictObject({
  /**
   * `datetime`: ISO 8601 with an offset, or ms since the epoch; `{{x}}`, `{{x.date}}`, `{{x.time}}` and `{{x.zone}}` in the recipient's locale
   * and zone. `number`: in the recipient's locale. `url`: an http(s) address.
   */
  type: z.enum(['text', 'datetime', 'number', 'url']),
  /**
   * How sensitive it is: a template whose words would show or ask for it on a channel that may not carry it is not registered. Without one it
   * may go anywhere, or counts as `phi` where the policy is strict.
   */
  class: z.enum(dataClasses).optional(),
  /** Where it is not given, its tags are empty and its sections are not shown. */
  optional: z.boolean().optional(),
});
/** What the data of a template holds under one name. */
export type TemplateField = z.output<typeof fieldSchema>;

const fieldName = z
  .string()
  .max(64)
  .regex(/^[A-Za-z0-9_-]+$/, 'may hold letters, digits, dash and underscore')
  .refine((name) => !FORBIDDEN_NAMES.includes(name), 'is not allowed as a name');

/** The same message in another language. What it leaves out is said as in the next one: de-AT, then de, then the template itself. */
const variantSchema = z.strictObject({
  title: title.optional(),
  body: source.optional(),
  email: email.unwrap().pick({ subject: true, html: true, text: true }).optional(),
  push,
  sms,
});
/** The same message in another language. */
export type TemplateVariant = z.output<typeof variantSchema>;

const localesSchema = z.record(profileSchema.shape.locale.unwrap(), variantSchema).superRefine((locales, context) => {
  const tags = Object.keys(locales);
  if (tags.length > MAX_LOCALES) context.addIssue({ code: 'custom', message: `must hold at most ${MAX_LOCALES}` });
  const seen = new Set<string>();
  for (const tag of tags) {
    const canonical = new Intl.Locale(tag).toString();
    if (seen.has(canonical)) context.addIssue({ code: 'custom', message: 'is the same language as another one', path: [tag] });
    seen.add(canonical);
  }
});

/**
 * A template as it is registered. Its text is mustache. With `fields`, every tag is one of them; without, every tag is text and must be
 * supplied.
 */
export const templateSchema = z.strictObject({
  id: templateIdSchema,
  title,
  body: source,
  channels: channelsSchema,
  priority: prioritySchema.optional(),
  category: categorySchema.optional(),
  /** What the data holds, by name. */
  fields: z
    .record(fieldName, fieldSchema)
    .refine((fields) => Object.keys(fields).length <= MAX_FIELDS, `must name at most ${MAX_FIELDS}`)
    .optional(),
  /** Security or safety: passes preferences, cannot be unsubscribed from. */
  required: z.boolean().optional(),
  ...channelParts,
  /** Variants by BCP 47 language tag. */
  locales: localesSchema.optional(),
});
export type Template = z.input<typeof templateSchema>;

/** HTML that templates share: `{{> id}}` puts it into theirs, and `email.layout` puts theirs into it, in the place of `{{> content}}`. */
export const partialSchema = z.strictObject({
  id: templateIdSchema.refine((id) => id !== 'content', 'is the name of the place in a layout'),
  html: source,
});
export type TemplatePartial = z.output<typeof partialSchema>;
