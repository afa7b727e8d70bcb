import { createApiKeys, createTokenIssuer, createTokenVerifier } from '@carillon/access';
import type { Deliveries } from '@carillon/deliveries';
import type { Inbox } from '@carillon/inbox';
import { createProducer } from '@carillon/producer';
import { openQueueViews } from '@carillon/queue';
import type { Redis } from '@carillon/redis';
import type { Config, Deferred, Log, PrometheusMetrics } from '@carillon/service';
import type { Templates } from '@carillon/templates';
import type { Vault } from '@carillon/vault';
import { createApi } from './api.js';
import type { ApiParts } from './parts.js';

/** What the HTTP role of a process is built from. */
export interface ApiRoleParts
  extends Pick<
    ApiParts,
    'directory' | 'receivers' | 'receive' | 'previews' | 'publicUrl' | 'socketUrl' | 'audit' | 'auditReader' | 'revocations' | 'erasures'
  > {
  readonly config: Config & { readonly apiKeys: string };
  /** A `prompt` connection. */
  readonly redis: Redis;
  readonly vault: Vault;
  readonly templates: Templates;
  readonly deliveries: Deliveries;
  readonly inbox: Inbox;
  readonly log: Log;
  readonly metrics: PrometheusMetrics;
  readonly defer: Deferred['defer'];
}

/** Builds the HTTP interface with what only it needs, and listens. Undone through `defer`. @throws CONFIGURATION_INVALID, REDIS_UNAVAILABLE */
export async function serveApi(parts: ApiRoleParts): Promise<{ port: number; url: string }> {
  const { config, redis, inbox, metrics, defer } = parts;
  const producer = createProducer({ ...parts, partitions: config.partitions });
  defer('producer', producer.close);
  const views = await openQueueViews(redis, config.partitions);
  defer('queue views', views.close);
  defer('queue metrics', metrics.watchQueues(views.counts));
  const { jwtSecret, jwtIssuer: issuer, jwtAudience: audience, jwtUserClaim: userClaim } = config;
  const api = createApi(
    {
      ...parts,
      producer,
      markAsRead: inbox.markAsRead,
      markAllAsRead: inbox.markAllAsRead,
      apiKeys: createApiKeys(config.apiKeys),
      rateApi: config.rateApi,
      failed: views,
      verifyToken: createTokenVerifier({ jwtSecret, issuer, audience, userClaim }).verify,
      issueToken: jwtSecret === undefined ? undefined : createTokenIssuer({ jwtSecret, issuer, audience, userClaim }).issue,
      queues: () => views.queues,
      ready: async () => redis.isReady(),
    },
    { port: config.httpPort },
  );
  defer('api', api.close);
  return api.listen();
}
