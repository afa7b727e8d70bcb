import type { ErasureReport } from '@carillon/erasure';
import { z } from 'zod';
import type { ApiParts } from './parts.js';
import { idParams, nothing, userParams } from './schemas.js';
import type { Server } from './validation.js';

const tags = ['people'];
const time = z.number().int().describe('ms since the epoch');
const erasureSchema = z.object({
  id: z.string(),
  status: z.enum(['erasing', 'erased']),
  requestedAt: time,
  completedAt: time.nullable(),
  destroyed: z.record(z.string(), z.union([z.number(), z.boolean()])).describe('what was destroyed, counted where it can be'),
  remains: z
    .array(z.object({ where: z.string(), what: z.string(), until: z.string() }))
    .readonly()
    .describe('what remains, where, and until when or why'),
}) satisfies z.ZodType<ErasureReport>;

type Parts = Pick<ApiParts, 'revocations' | 'erasures'>;

/** Shutting a person's clients out, exporting and erasing people. */
export function peopleRoutes(server: Server, parts: Parts): void {
  revocationRoute(server, parts);
  exportRoute(server, parts);
  erasureRoutes(server, parts);
}

function revocationRoute(server: Server, { revocations }: Parts): void {
  server.post(
    '/v1/users/:userId/revoke-tokens',
    {
      config: { access: 'admin', action: 'token.revoked' },
      schema: {
        tags,
        summary: 'Revoke all client tokens of a user that were issued until now; live sockets close',
        params: userParams,
        response: { 204: nothing },
      },
    },
    async (request, reply) => {
      await revocations.revoke(request.params.userId);
      return reply.code(204).send(null);
    },
  );
}

function exportRoute(server: Server, { erasures }: Parts): void {
  server.get(
    '/v1/users/:userId/export',
    {
      config: { access: 'admin', action: 'person.exported', auditedBelow: true },
      schema: {
        tags,
        summary: 'All that is kept of a person, readable',
        params: userParams,
        response: { 200: z.record(z.string(), z.unknown()) },
      },
    },
    async (request) => erasures.exportPerson(request.params.userId, request.actor),
  );
}

function erasureRoutes(server: Server, { erasures }: Parts): void {
  server.delete(
    '/v1/users/:userId',
    {
      config: { access: 'admin', action: 'person.erased', auditedBelow: true },
      schema: {
        tags,
        summary: 'Erase a person: their key and records; unsent notifications are dropped',
        params: userParams,
        response: { 202: z.object({ erasureId: z.string() }) },
      },
    },
    async (request, reply) => reply.code(202).send(await erasures.erase(request.params.userId, request.actor)),
  );

  server.get(
    '/v1/erasures/:id',
    {
      config: { access: 'admin', action: 'operations.viewed' },
      schema: { tags, summary: 'How an erasure stands, and what remains where', params: idParams, response: { 200: erasureSchema } },
    },
    async (request) => erasures.get(request.params.id),
  );
}
