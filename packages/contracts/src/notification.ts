import { z } from 'zod';
import { type ChannelName, channelNames } from './channels/index.js';
import { emailAddressSchema } from './source.js';

/** Lower number, served earlier. */
export const priorityRank = { urgent: 1, high: 2, normal: 3, low: 4 } as const;
export type Priority = keyof typeof priorityRank;
/** Names as constants, for callers who like them. */
export const NotificationPriority = { LOW: 'low', NORMAL: 'normal', HIGH: 'high', URGENT: 'urgent' } as const;

/** Bytes of JSON a request's `data` may have: one notification must fit a job with room to spare. */
export const DATA_MAX_BYTES = 32 * 1024;
const DATA_MAX_DEPTH = 10;

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** The path of the first value that JSON cannot carry faithfully, or undefined when all is well. */
function notJson(value: unknown, path: string, depth: number): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : path;
  if (typeof value !== 'object' || depth === 0) return path;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const bad = notJson(value[i], `${path}.${i}`, depth - 1);
      if (bad) return bad;
    }
    return undefined;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null && Object.getPrototypeOf(prototype) !== null) return path;
  for (const key of Object.keys(value)) {
    const bad = notJson((value as Record<string, unknown>)[key], `${path}.${key}`, depth - 1);
    if (bad) return bad;
  }
  return undefined;
}

const noControls = /^\P{Cc}+$/u;
/** One line of text: no control characters, well-formed UTF-16. */
export const line = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((s) => noControls.test(s) && s.isWellFormed(), 'must not hold control characters');

/** A user id: 1–256 characters, anything but control characters (`auth0|…` is one). */
export const userIdSchema = line(256);
/** An id of a template. */
export const templateIdSchema = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9._-]+$/, 'may hold letters, digits, dot, dash and underscore');
export const prioritySchema = z.enum(['low', 'normal', 'high', 'urgent']);
export const channelSchema = z.enum(channelNames as [ChannelName, ...ChannelName[]]);
/** A category. Not `__proto__`, which no JSON parser of ours takes as a field of preferences. */
export const categorySchema = line(64).refine((name) => name !== '__proto__', 'must not be __proto__');
/** An idempotency key. */
export const idempotencyKeySchema = line(255);
/** A cancellation key. */
export const cancellationKeySchema = line(255);

/** A phone number in E.164: a plus sign and 7 to 15 digits. */
export const phoneNumberSchema = z.string().regex(/^\+[1-9]\d{6,14}$/, 'must be a phone number in E.164, such as +15550100');
/** Addresses given with a request. */
export const inlineAddressesSchema = z.strictObject({ email: emailAddressSchema.optional(), phone: phoneNumberSchema.optional() });
export type InlineAddresses = z.output<typeof inlineAddressesSchema>;
/** An id Carillon gave: a UUID in lower case. */
export const notificationIdSchema = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a notification id');

const isLink = (text: string) => (text.startsWith('/') ? !/^\/[\\/]/.test(text) : /^https?:\/\//i.test(text) && URL.canParse(text));

/** Distinct channels, at least one. */
export const channelsSchema = z
  .array(channelSchema)
  .min(1)
  .max(channelNames.length)
  .refine((list) => new Set(list).size === list.length, 'must not name a channel twice');

export const dataSchema = z.custom<Record<string, Json>>().superRefine((value: unknown, context) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    context.addIssue({ code: 'custom', message: 'must be an object' });
    return;
  }
  const bad = notJson(value, '', DATA_MAX_DEPTH);
  if (bad !== undefined) {
    context.addIssue({
      code: 'custom',
      message: 'must be text, a finite number, true, false, null, a list or an object of these',
      path: bad.split('.').slice(1),
    });
  }
});

/** What a caller asks for: tell this user that, by this template. */
export const notificationRequestSchema = z.strictObject({
  userId: userIdSchema,
  templateId: templateIdSchema,
  data: dataSchema,
  channels: channelsSchema.optional(),
  priority: prioritySchema.optional(),
  category: categorySchema.optional(),
  threadId: line(128).optional(),
  tags: z.array(line(64)).max(10).optional(),
  url: line(2048).refine(isLink, 'must be an http(s) address or a path beginning with one slash').optional(),
  idempotencyKey: idempotencyKeySchema.optional(),
  /** Names notifications to cancel together; tells nothing by itself and is stored as a hash. */
  cancellationKey: cancellationKeySchema.optional(),
  /** Addresses for this notification alone, before those of the directory. */
  to: inlineAddressesSchema.optional(),
});
export type NotificationRequest = z.input<typeof notificationRequestSchema>;

/** How a whole notification stands; see the roll-up in `deliveries`. */
export type NotificationStatus = 'read' | 'delivered' | 'pending' | 'failed' | 'skipped' | 'canceled' | 'expired';
/** How one delivery stands. Only ever moves forward. */
export type DeliveryStatus =
  | 'pending'
  | 'held'
  | 'sending'
  | 'sent'
  | 'delivered'
  | 'bounced'
  | 'failed'
  | 'skipped'
  | 'canceled'
  | 'expired'
  | 'unknown';

/** A notification as its recipient sees it. Times are ms since the epoch. */
export interface Notification {
  id: string;
  userId: string;
  templateId: string;
  title: string;
  body: string;
  data: Record<string, Json>;
  channels: ChannelName[];
  priority: Priority;
  category: string | null;
  threadId: string | null;
  tags: string[];
  url: string | null;
  status: NotificationStatus;
  createdAt: number;
  deliveredAt: number | null;
  readAt: number | null;
  seenAt: number | null;
  archivedAt: number | null;
  error: string | null;
}
