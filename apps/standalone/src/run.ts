import { existsSync } from 'node:fs';
import { createRevocations } from '@carillon/access';
import { type ServedApi, serveApi } from '@carillon/api';
import { createAuditReader } from '@carillon/audit';
import { createPreviews, createReceive, publicUrlOf } from '@carillon/channel';
import { CarillonError } from '@carillon/contracts';
import { createErasures } from '@carillon/erasure';
import { type Gateway, listen, openGateway } from '@carillon/gateway';
import { pageFolder } from '@carillon/page';
import { serverFacts } from '@carillon/redis';
import { type Config, type Log, type PrometheusMetrics, runProcess } from '@carillon/service';
import { runSweeps, type Sweep } from '@carillon/vault';
import { type Base, defaultDataDir, openBase, startWorkers } from './base.js';
import { receiversOf } from './channels.js';

type Say = (line: string) => void;

/**
 * Runs all roles, or all but the API, in this process until it is told to stop; resolves with its exit code. `say` is given what a person
 * at a terminal needs to know, the last line begins with `ready`.
 */
export function runRoles(roles: { api: boolean }, say: Say): Promise<number> {
  return runProcess(roles.api ? 'carillon' : 'worker', { required: [], sockets: true, probe: serverFacts }, async (parts) => {
    const startedAt = Date.now();
    const base = await openBase({ ...parts, dataDir: defaultDataDir(), say });
    base.defer('workers', await startWorkers(base));
    const socketPort = await openSockets(base, openGateway(base));
    say(`gateway:  ${localSocketUrl(base.config, socketPort)}`);
    if (roles.api) await sayApi(base, await serveApi({ ...base, ...apiParts(base, parts.metrics, socketPort) }), say);
    say(`redis:    ${base.embedded ? `embedded, data in ${base.dataDir}` : 'as configured'}`);
    say(`ready in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
    return { ready: async () => base.redis.isReady() };
  });
}

/** What the HTTP role needs of the channels, and of where it is; it also looks after keys and erasures. Undone through `defer`. */
export function apiParts(
  base: Pick<Base, 'deliveries' | 'directory' | 'inbox' | 'redis' | 'vault' | 'audit' | 'log' | 'defer'> & { config: Config },
  metrics: PrometheusMetrics,
  socketPort: number,
) {
  const { config, redis, vault, log, defer } = base;
  const events = { error: (error: CarillonError, about: { stage: string }) => log.error('upkeep failed', { error, ...about }) };
  const revocations = createRevocations(redis);
  const erasures = createErasures({ ...base, revocations, events });
  defer('erasures', erasures.close);
  const sweeps = runSweeps(vault, redis, { ...events, swept: (sweep) => saySwept(config, log, sweep) });
  defer('sweeps', sweeps.close);
  return {
    metrics,
    socketUrl: config.publicSocketUrl ?? localSocketUrl(config, socketPort),
    revocations,
    erasures,
    auditReader: createAuditReader(redis),
    page: existsSync(pageFolder) ? pageFolder : undefined,
    publicUrl: publicUrlOf(config),
    previews: createPreviews(base),
    receivers: receiversOf(config),
    receive: createReceive({ ...base, events: metrics }),
  };
}

/** Where the gateway is on this machine. */
const localSocketUrl = ({ tlsCert }: Config, port: number) => `${tlsCert === undefined ? 'ws' : 'wss'}://localhost:${port}`;

/** Says which encryption keys behind the first wrap nothing any more. What was wrapped anew just now may still be in use elsewhere. */
function saySwept({ encryptionKeys = '' }: Config, log: Log, { rewrapped, wrapped }: Sweep): void {
  if (rewrapped > 0) {
    log.info('data keys wrapped by the current encryption key', { count: rewrapped });
    return;
  }
  const [, ...older] = encryptionKeys.split(',').map((entry) => entry.trim().split(':')[0] as string);
  for (const kid of older) {
    if (wrapped[kid] === undefined) log.info('an encryption key wraps nothing: remove it once no process has it as its first', { kid });
  }
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

async function sayApi(base: Base, { url, openingLink }: ServedApi, say: Say): Promise<void> {
  const keys = base.config.apiKeys.split(',').map((entry) => entry.slice(entry.lastIndexOf(':') + 1).trim());
  const curl = (method: string, path: string, body: object) =>
    `curl -s -X ${method} ${url}${path} -H 'Authorization: Bearer ${keys[0]}' -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
  const template = { title: 'Hello {{name}}', body: 'Your first notification has arrived.', channels: ['in_app', 'email', 'push'] };
  const notification = { userId: 'user-123', templateId: 'hello', data: { name: 'Ada' }, to: { email: 'ada@example.com' } };
  say(`api:      ${url}`);
  say(`queues:   ${url}/admin/queues`);
  say(`previews: ${url}/preview/mail`);
  // What a production says is kept in logs, where no key belongs.
  if (base.config.production) return;
  const link = await openingLink();
  if (link !== undefined) say(`page:     ${link}`);
  say(`API key:  ${keys[0]}`);
  say(`send one: ${curl('PUT', '/v1/templates/hello', template)} && ${curl('POST', '/v1/notifications', notification)}`);
}
