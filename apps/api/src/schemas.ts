import { TOKEN_TTL_MAX_SECONDS, TOKEN_TTL_MIN_SECONDS } from '@carillon/access';
import {
  channelSchema,
  DATA_MAX_BYTES,
  dataSchema,
  type ErrorCode,
  errorCatalogue,
  inboxFilterSchema,
  type Notification,
  notificationRequestSchema,
  PAGE_MAX,
  partialSchema,
  prioritySchema,
  profileSchema,
  templateSchema,
  userIdSchema,
} from '@carillon/contracts';
import type { NotificationRecord } from '@carillon/deliveries';
import type { SwaggerTransform } from '@fastify/swagger';
import { createJsonSchemaTransform } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Problem } from './problem.js';

/** Notifications one bulk request may hold. */
export const BULK_MAX = 1000;

const code = z.enum(Object.keys(errorCatalogue) as [ErrorCode, ...ErrorCode[]]);
const time = z.number().int().describe('ms since the epoch');
const cursor = z.string().nullable().describe('give it back as `cursor` to read on; null on the last page');

/** A whole number in a query string. */
export const inQuery = (min: number, max: number) =>
  z.coerce
    .number({ error: `must be a whole number from ${min} to ${max}` })
    .int()
    .min(min)
    .max(max);

/** What a client of the HTTP interface sends and gets, where no other package owns the shape. Answers are described, not checked. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code,
  field: z.string().optional(),
  id: z.string().optional(),
}) satisfies z.ZodType<Problem>;

export const acceptedSchema = z.object({ id: z.string() });

export const bulkRequestSchema = z.strictObject({ notifications: z.array(notificationRequestSchema).max(BULK_MAX) });
/** The envelope alone: each notification is checked by the producer and fails alone. */
export const bulkEnvelopeSchema = z.strictObject({ notifications: z.array(z.unknown()).max(BULK_MAX, `must hold at most ${BULK_MAX}`) });
export const bulkAnswerSchema = z.object({
  results: z.array(
    z.discriminatedUnion('ok', [
      z.object({ ok: z.literal(true), id: z.string() }),
      z.object({
        ok: z.literal(false),
        error: z.object({ code, field: z.string().optional(), detail: z.string(), id: z.string().optional() }),
      }),
    ]),
  ),
});

const deliveryStatuses = [
  'pending',
  'held',
  'sending',
  'sent',
  'delivered',
  'bounced',
  'failed',
  'skipped',
  'canceled',
  'expired',
  'unknown',
] as const;
const status = z.enum(['read', 'delivered', 'pending', 'failed', 'skipped', 'canceled', 'expired']);

export const recordSchema = z.object({
  id: z.string(),
  userId: z.string(),
  templateId: z.string(),
  templateVersion: z.string(),
  status,
  createdAt: time,
  deliveries: z.array(
    z.object({
      channel: channelSchema,
      address: z.string().nullable().describe('id of the device; null where a user has one address'),
      status: z.enum(deliveryStatuses),
      reason: z.string().nullable(),
      explanation: z.string().nullable().describe('the reason in words'),
      attempts: z.number().int(),
      provider: z.string().nullable(),
      providerMessageId: z.string().nullable(),
      resent: z.boolean().describe('sent again although an earlier try may have been sent'),
      at: time.describe('when it took its last step; ms since the epoch'),
      times: z.partialRecord(z.enum(deliveryStatuses), time),
      engagement: z.partialRecord(z.enum(['opened', 'clicked', 'complained', 'unsubscribed']), time),
    }),
  ),
}) satisfies z.ZodType<Omit<NotificationRecord, 'category'>>;
/** A record as it is shown. */
export type ShownRecord = z.output<typeof recordSchema>;
export const timelineSchema = z.object({ data: z.array(recordSchema), nextCursor: cursor });

export const notificationSchema = z.object({
  id: z.string(),
  userId: z.string(),
  templateId: z.string(),
  title: z.string(),
  body: z.string(),
  data: dataSchema,
  channels: z.array(channelSchema),
  priority: prioritySchema,
  category: z.string().nullable(),
  threadId: z.string().nullable(),
  tags: z.array(z.string()),
  url: z.string().nullable(),
  status,
  createdAt: time,
  deliveredAt: time.nullable(),
  readAt: time.nullable(),
  seenAt: time.nullable(),
  archivedAt: time.nullable(),
  error: z.string().nullable(),
}) satisfies z.ZodType<Notification>;

export const inboxPageSchema = z.object({ data: z.array(notificationSchema), nextCursor: cursor, unreadCount: z.number().int() });
export const unreadCountSchema = z.object({ unreadCount: z.number().int() });
/** A yes or no in a query string. */
const flagInQuery = z.enum(['true', 'false'], { error: 'must be true or false' }).transform((text) => text === 'true');
export const inboxQuerySchema = z
  .object({
    limit: inQuery(1, PAGE_MAX).default(50),
    offset: inQuery(0, Number.MAX_SAFE_INTEGER).optional().describe('notifications to skip; not together with `cursor`'),
    cursor: z.string().min(1).optional().describe('`nextCursor` of the page before, which was narrowed alike'),
    ...inboxFilterSchema.shape,
    unread: flagInQuery.optional().describe('only those not read, or only those read'),
    archived: flagInQuery.optional().describe('only archived ones, or only others; absent, both'),
    since: inQuery(0, Number.MAX_SAFE_INTEGER).optional().describe('created then or later; ms since the epoch'),
  })
  .refine(({ offset, cursor }) => offset === undefined || cursor === undefined, {
    path: ['cursor'],
    error: 'must not be given together with offset',
  });
/** What to do to a notification; several fields are several changes, in this order. */
export const marksSchema = z
  .strictObject({
    seen: z.literal(true, 'must be true: what was seen stays seen').optional(),
    read: z.boolean().optional(),
    archived: z.boolean().optional().describe('archiving reads as well'),
  })
  .refine((marks) => Object.values(marks).some((mark) => mark !== undefined), 'must say what to change: seen, read or archived');

/** The id stands in the path; in the body it may be left out. */
export const templateBodySchema = templateSchema.partial({ id: true });
export const templateEntrySchema = z.object({ ...templateSchema.shape, version: z.string() });
export const templatePageSchema = z.object({ data: z.array(templateEntrySchema), nextCursor: cursor });
export const previewRequestSchema = z.strictObject({
  data: dataSchema,
  locale: profileSchema.shape.locale.describe('BCP 47; the words of the template itself, and English forms, unless told'),
  timeZone: profileSchema.shape.timeZone.describe('IANA; UTC unless told'),
});
export const previewSchema = z.partialRecord(channelSchema, z.record(z.string(), z.string()));
/** The id stands in the path; in the body it may be left out. */
export const partialBodySchema = partialSchema.partial({ id: true });
export const partialPageSchema = z.object({ data: z.array(partialSchema), nextCursor: cursor });
export const registeredPartialSchema = z.object({
  id: z.string(),
  changed: z.boolean(),
  templates: z.array(z.string()).describe('ids of the templates that have a new version by it'),
});
export const registeredSchema = z.object({ id: z.string(), version: z.string(), changed: z.boolean() });
export const listQuerySchema = z.object({ limit: inQuery(1, PAGE_MAX).default(50), cursor: z.string().min(1).optional() });

export const tokenRequestSchema = z.strictObject({
  userId: userIdSchema,
  ttlSeconds: z.number().int().min(TOKEN_TTL_MIN_SECONDS).max(TOKEN_TTL_MAX_SECONDS).optional().describe('one hour unless told'),
});
export const tokenSchema = z.object({
  token: z.string(),
  expiresAt: time,
  url: z.string().describe('where a client connects with the token'),
});

export const idParams = z.object({ id: z.string() });
export const userParams = z.object({ userId: userIdSchema });
export const userNotificationParams = z.object({ userId: userIdSchema, id: z.string() });
export const idempotencyHeaders = z.object({
  'idempotency-key': z.string().optional().describe('the same as `idempotencyKey`, at most 255 characters'),
});

/** The answer of a route that has nothing to say. */
export const nothing = z.null().describe('no content');

/** Shapes of contracts that no JSON Schema says by itself. */
export const toOpenApi: SwaggerTransform = createJsonSchemaTransform({
  zodToJsonConfig: {
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema !== dataSchema) return;
      Object.assign(jsonSchema, { type: 'object', additionalProperties: true, description: `JSON, at most ${DATA_MAX_BYTES} bytes` });
    },
  },
});
