import { isReady } from '@carillon/service';
import { z } from 'zod';
import type { ApiParts } from './parts.js';
import type { Policy } from './policy.js';
import type { Server } from './validation.js';

const tags = ['operations'];
const text = z.string();

/** What anybody may ask: alive, ready. */
export function openRoutes(server: Server, { ready }: Pick<ApiParts, 'ready'>): void {
  const schema = { tags, security: [] };
  const config: Policy = { access: 'anybody', action: 'none' };
  server.get(
    '/healthz',
    { config, schema: { ...schema, summary: 'Whether the process is alive', response: { 200: text } } },
    async (_request, reply) => reply.type('text/plain').send('ok\n'),
  );
  server.get(
    '/readyz',
    { config, schema: { ...schema, summary: 'Whether requests can be served now', response: { 200: text, 503: text } } },
    async (_request, reply) => {
      const yes = await isReady(ready);
      return reply
        .code(yes ? 200 : 503)
        .type('text/plain')
        .send(yes ? 'ready\n' : 'not ready\n');
    },
  );
}

/** What operators and tools ask, with a key. */
export function operatorRoutes(server: Server, { metrics }: Pick<ApiParts, 'metrics'>): void {
  server.get(
    '/metrics',
    {
      config: { access: 'read', action: 'operations.viewed' },
      schema: { tags, summary: 'Metrics in Prometheus’ format', response: { 200: text } },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.render()),
  );
  const anyObject = z.record(z.string(), z.unknown());
  server.get(
    '/openapi.json',
    { config: { access: 'anyKey', action: 'none' }, schema: { tags, summary: 'This description', response: { 200: anyObject } } },
    async () => ({
      ...server.swagger(),
    }),
  );
}
