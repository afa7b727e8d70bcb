import { createApiKeys, createTokenIssuer } from '@carillon/access';
import { createApi } from '@carillon/api';
import { CarillonError } from '@carillon/contracts';
import { type Gateway, listen } from '@carillon/gateway';
import { createProducer } from '@carillon/producer';
import { openQueueViews } from '@carillon/queue';
import { type ProcessParts, runProcess } from '@carillon/service';
import { type Base, defaultDataDir, openBase, openGateway, startWorkers } from './base.js';

type Say = (line: string) => void;

/**
 * Runs all roles, or all but the API, in this process until it is told to stop; resolves with its exit code. `say` is given what a person
 * at a terminal needs to know, the last line begins with `ready`.
 */
export function runRoles(roles: { api: boolean }, say: Say): Promise<number> {
  return runProcess(roles.api ? 'carillon' : 'worker', { required: [] }, async (parts) => {
    const startedAt = Date.now();
    const base = await openBase({ ...parts, dataDir: defaultDataDir(), say });
    await startWorkers(base);
    const socketPort = await openSockets(base, openGateway(base));
    say(`gateway:  ws://localhost:${socketPort}`);
    if (roles.api) sayApi(base, await startApi(base, parts, socketPort), say);
    say(`redis:    ${base.embedded ? `embedded, data in ${base.dataDir}` : 'as configured'}`);
    say(`ready in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
    return { ready: async () => base.redis.isReady() };
  });
}

/** Listens on the configured port; beside another process of the same laptop, on any free one. */
async function openSockets(base: Base, gateway: Gateway): Promise<number> {
  const port = base.config.wsPort;
  const listener = await listen(gateway, { port }).catch((error) => {
    const inUse = error instanceof CarillonError && error.code === 'CONFIGURATION_INVALID';
    if (!inUse || !base.embedded) throw error;
    base.log.warn('the gateway port is in use; taking a free one', { port });
    return listen(gateway, { port: 0 });
  });
  base.defer('gateway port', listener.close);
  return listener.port;
}

async function startApi(base: Base, { metrics }: ProcessParts<never>, socketPort: number): Promise<string> {
  const { config, redis, inbox, defer } = base;
  const producer = await createProducer({ ...base, partitions: config.partitions });
  defer('producer', producer.close);
  const views = await openQueueViews(redis, config.partitions);
  defer('queue views', views.close);
  defer('queue metrics', metrics.watchQueues(views.counts));
  const issuer = createTokenIssuer({
    jwtSecret: config.jwtSecret,
    issuer: config.jwtIssuer,
    audience: config.jwtAudience,
    userClaim: config.jwtUserClaim,
  });
  const api = createApi(
    {
      ...base,
      producer,
      metrics,
      markAsRead: inbox.markAsRead,
      markAllAsRead: inbox.markAllAsRead,
      apiKeys: createApiKeys(config.apiKeys),
      issueToken: issuer.issue,
      socketUrl: `ws://localhost:${socketPort}`,
      queues: () => views.queues,
      ready: async () => redis.isReady(),
    },
    { port: config.httpPort },
  );
  defer('api', api.close);
  const { url } = await api.listen();
  return url;
}

function sayApi(base: Base, url: string, say: Say): void {
  const keys = base.config.apiKeys.split(',').map((entry) => entry.slice(entry.lastIndexOf(':') + 1).trim());
  const curl = (method: string, path: string, body: object) =>
    `curl -s -X ${method} ${url}${path} -H 'Authorization: Bearer ${keys[0]}' -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
  const template = { title: 'Hello {{name}}', body: 'Your first notification has arrived.', channels: ['in_app'] };
  const notification = { userId: 'user-123', templateId: 'hello', data: { name: 'Ada' } };
  say(`api:      ${url}`);
  say(`queues:   ${url}/admin/queues`);
  say(`API key:  ${keys[0]}`);
  say(`send one: ${curl('PUT', '/v1/templates/hello', template)} && ${curl('POST', '/v1/notifications', notification)}`);
}
