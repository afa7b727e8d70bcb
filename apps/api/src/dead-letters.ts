import { channelNames, type ErrorCode, errorCatalogue, notificationIdSchema } from '@carillon/contracts';
import type { FailedItem } from '@carillon/queue';
import { z } from 'zod';
import type { ApiParts } from './parts.js';
import { listQuerySchema } from './schemas.js';
import type { Server } from './validation.js';

/** Ids one request may name. */
const IDS_MAX = 1000;

const tags = ['operations'];
const stage = z.enum(['render', ...channelNames]);
const code = z.enum(Object.keys(errorCatalogue) as [ErrorCode, ...ErrorCode[]]);

export const failedItemSchema = z.object({
  id: z.string().nullable().describe('the notification; null for a job that cannot be read'),
  channel: stage,
  code,
  reason: z.string(),
  attempts: z.number().int(),
  failedAt: z.number().int().describe('ms since the epoch'),
  jobId: z.string(),
});
const cursor = z.string().nullable().describe('give it back as `cursor` to go on; null when all is done');
export const failedPageSchema = z.object({ data: z.array(failedItemSchema), nextCursor: cursor });
const failedQuerySchema = listQuerySchema.extend({ channel: stage.optional(), code: code.optional() });
const redriveSchema = z.strictObject({
  ids: z.array(notificationIdSchema).min(1).max(IDS_MAX).optional().describe('notifications; those that failed in one job go together'),
  channel: stage.optional(),
  code: code.optional(),
  cursor: z.string().min(1).optional(),
});
export const redrivenSchema = z.object({ retried: z.number().int(), nextCursor: cursor });

/** What was given up, and trying it again. */
export function deadLetterRoutes(server: Server, { failed }: Pick<ApiParts, 'failed'>): void {
  server.get(
    '/v1/failed',
    {
      config: { access: 'read', action: 'operations.viewed' },
      schema: {
        tags,
        summary: 'What was given up, newest first; a page may be short and still have a cursor',
        querystring: failedQuerySchema,
        response: { 200: failedPageSchema },
      },
    },
    async (request) => {
      const { data, nextCursor = null } = await failed.failed(request.query);
      return { data: data.map(toAnswer), nextCursor };
    },
  );

  server.post(
    '/v1/failed/retry',
    {
      config: { access: 'admin', action: 'queues.changed' },
      schema: {
        tags,
        summary: 'Try again what fits all that is given (`{}`: everything), each once',
        body: redriveSchema,
        response: { 200: redrivenSchema },
      },
    },
    async (request) => {
      const { retried, nextCursor = null } = await failed.redrive(request.body);
      return { retried, nextCursor };
    },
  );
}

function toAnswer({ id, channel, code, attempts, failedAt, jobId }: FailedItem) {
  return { id, channel, code, reason: errorCatalogue[code][1], attempts, failedAt, jobId };
}
