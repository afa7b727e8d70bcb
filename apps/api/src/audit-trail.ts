import { auditActions } from '@carillon/audit';
import { userIdSchema } from '@carillon/contracts';
import { z } from 'zod';
import type { ApiParts } from './parts.js';
import { inQuery, listQuerySchema } from './schemas.js';
import type { Server } from './validation.js';

const time = inQuery(0, Number.MAX_SAFE_INTEGER).optional();
const name = z.string().min(1).max(256);
const querySchema = listQuerySchema.extend({
  action: z.enum(auditActions).optional(),
  actor: name.optional().describe('name of who did it: of a key, a user or a role'),
  user: userIdSchema.optional().describe('a person it concerned, or who did it'),
  id: name.optional().describe('id of what it was done to'),
  since: time.describe('not before; ms since the epoch'),
  until: time.describe('not after; ms since the epoch'),
});
const texts = z.array(z.string()).readonly().optional();
const recordSchema = z.object({
  v: z.literal(1),
  writer: z.string().describe('name of the chain'),
  seq: z.number().int().describe('position in the chain, from 1'),
  at: z.number().int().describe('ms since the epoch'),
  actor: z.object({ type: z.string(), name: z.string() }),
  action: z.string(),
  ids: texts,
  users: texts,
  outcome: z.string().describe('`ok`, or the code it failed with'),
  about: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  heads: z
    .array(
      z.object({
        writer: z.string(),
        seq: z.number().int(),
        at: z.number().int(),
        hash: z.string(),
        keep: z.number().optional(),
        sink: z.string().optional(),
      }),
    )
    .readonly()
    .optional(),
  prev: z.string(),
  hash: z.string(),
});
const pageSchema = z.object({
  data: z.array(recordSchema),
  nextCursor: z.string().nullable().describe('give it back as `cursor` to read on; null on the last page'),
});

/** Who did what to whom. */
export function auditRoutes(server: Server, { auditReader }: Pick<ApiParts, 'auditReader'>): void {
  server.get(
    '/v1/audit',
    {
      config: { access: 'admin', action: 'audit.viewed' },
      schema: {
        tags: ['operations'],
        summary: 'The audit trail, newest first; a page may be short and still have a cursor',
        querystring: querySchema,
        response: { 200: pageSchema },
      },
    },
    async (request) => {
      const { data, nextCursor = null } = await auditReader.read(request.query);
      if (request.query.user !== undefined) request.concerns = { users: [request.query.user] };
      return { data, nextCursor };
    },
  );
}
