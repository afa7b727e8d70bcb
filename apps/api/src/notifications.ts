import type { Actor } from '@carillon/audit';
import {
  CarillonError,
  cancellationKeySchema,
  type NotificationRequest,
  notificationIdSchema,
  notificationRequestSchema,
  parse,
  userIdSchema,
} from '@carillon/contracts';
import type { QueueResult } from '@carillon/producer';
import { z } from 'zod';
import type { Gate } from './guard.js';
import type { ApiParts } from './parts.js';
import type { Policy } from './policy.js';
import { detailOf } from './problem.js';
import {
  acceptedSchema,
  bulkAnswerSchema,
  bulkEnvelopeSchema,
  bulkRequestSchema,
  idempotencyHeaders,
  idParams,
  recordSchema,
} from './schemas.js';
import { toShown } from './timeline.js';
import { bodyCheckedByOwner, type Server } from './validation.js';

/** Bytes of a single request: twice what `data` may have, for the other fields and their escapes. */
const SINGLE_MAX_BYTES = 64 * 1024;
/** Bytes of a bulk request: a thousand notifications of 4 KiB each. */
const BULK_MAX_BYTES = 4 * 1024 * 1024;

/** Notifications of a bulk request that count as one request. */
const BULK_PER_POINT = 100;

const tags = ['notifications'];
const cancelSchema = z.strictObject({ cancellationKey: cancellationKeySchema, userId: userIdSchema.optional() });
export const canceledSchema = z.object({
  canceled: z.array(z.string()).describe('notifications of which what was not out yet is never sent'),
  alreadySent: z.array(z.string()).describe('notifications of which something was out, or going out'),
});

/** Queueing notifications, reading how they stand, cancelling them. */
export function notificationRoutes(server: Server, parts: Pick<ApiParts, 'producer' | 'deliveries'>, gate: Pick<Gate, 'charge'>): void {
  queueRoutes(server, parts, gate);
  cancelRoutes(server, parts);
  server.get(
    '/v1/notifications/:id',
    {
      config: { access: 'read', action: 'notification.viewed' },
      schema: { tags, summary: 'How a notification and its deliveries stand', params: idParams, response: { 200: recordSchema } },
    },
    async (request) => {
      const record = toShown(await parts.deliveries.get(knownId(request.params.id)));
      request.concerns = { users: [record.userId] };
      return record;
    },
  );
}

function queueRoutes(server: Server, { producer }: Pick<ApiParts, 'producer'>, gate: Pick<Gate, 'charge'>): void {
  const config: Policy = { access: 'send', action: 'notification.queued', auditedBelow: true };
  server.post(
    '/v1/notifications',
    {
      config,
      bodyLimit: SINGLE_MAX_BYTES,
      validatorCompiler: bodyCheckedByOwner,
      schema: {
        tags,
        summary: 'Queue a notification',
        headers: idempotencyHeaders,
        body: notificationRequestSchema,
        response: { 202: acceptedSchema },
      },
    },
    async (request, reply) => {
      const body = withIdempotencyKey(request.body, request.headers['idempotency-key']);
      const id = await as(producer, request.actor).queueNotification(body);
      return reply.code(202).send({ id });
    },
  );

  server.post(
    '/v1/notifications/bulk',
    {
      config,
      bodyLimit: BULK_MAX_BYTES,
      validatorCompiler: bodyCheckedByOwner,
      schema: {
        tags,
        summary: 'Queue up to 1000 notifications, each with a result of its own',
        body: bulkRequestSchema,
        response: { 202: bulkAnswerSchema },
      },
    },
    async (request, reply) => {
      const { notifications } = parse(bulkEnvelopeSchema, request.body);
      const more = Math.ceil(notifications.length / BULK_PER_POINT) - 1;
      if (more > 0) await gate.charge(request, reply, more);
      const results = await as(producer, request.actor).queueNotifications(notifications as NotificationRequest[]);
      return reply.code(202).send({ results: results.map(toAnswer) });
    },
  );
}

function cancelRoutes(server: Server, { producer }: Pick<ApiParts, 'producer'>): void {
  const config: Policy = { access: 'send', action: 'notification.canceled', auditedBelow: true };
  server.delete(
    '/v1/notifications/:id',
    {
      config,
      schema: { tags, summary: 'Cancel a notification; the answer is final', params: idParams, response: { 200: canceledSchema } },
    },
    async (request) => as(producer, request.actor).cancel({ id: knownId(request.params.id) }),
  );

  server.post(
    '/v1/notifications/cancel',
    {
      config,
      schema: { tags, summary: 'Cancel all notifications with a cancellation key', body: cancelSchema, response: { 200: canceledSchema } },
    },
    async (request) => as(producer, request.actor).cancel(request.body),
  );
}

/** The producer's verbs for who asks: by a key, or signed in by it. */
const as = (producer: ApiParts['producer'], { type, name }: Actor) => producer.as(name, type === 'admin' ? 'admin' : 'key');

/** @throws NOTIFICATION_NOT_FOUND for what cannot be an id of ours. */
export function knownId(id: string): string {
  if (notificationIdSchema.safeParse(id).success) return id;
  throw new CarillonError('NOTIFICATION_NOT_FOUND');
}

/** The header is another way to write the field. */
function withIdempotencyKey(body: NotificationRequest, header: string | undefined): NotificationRequest {
  // What is not an object is left for the producer to refuse.
  if (header === undefined || typeof body !== 'object' || body === null) return body;
  if (body.idempotencyKey !== undefined && body.idempotencyKey !== header) {
    const message = 'idempotencyKey: differs from the Idempotency-Key header';
    throw new CarillonError('FIELD_INVALID', { field: 'idempotencyKey', message });
  }
  return { ...body, idempotencyKey: header };
}

function toAnswer(result: QueueResult) {
  if (result.ok) return { ok: true as const, id: result.id };
  const { code, field, id } = result.error;
  return {
    ok: false as const,
    error: { code, ...(field !== undefined && { field }), detail: detailOf(result.error), ...(id !== undefined && { id }) },
  };
}
