import { createApiKeys, createTokenIssuer, createTokenVerifier } from '@carillon/access';
import { type CarillonError, readApiKeys } from '@carillon/contracts';
import type { Deliveries } from '@carillon/deliveries';
import type { Inbox } from '@carillon/inbox';
import { createProducer } from '@carillon/producer';
import { openQueueViews } from '@carillon/queue';
import type { Redis } from '@carillon/redis';
import { type Config, type Deferred, type Log, openTls, type PrometheusMetrics } from '@carillon/service';
import type { Templates } from '@carillon/templates';
import type { Vault } from '@carillon/vault';
import { createApi } from './api.js';
import { createOpenings } from './opening.js';
import type { ApiParts } from './parts.js';

/** What the HTTP role of a process is built from. */
export interface ApiRoleParts
  extends Pick<
    ApiParts,
    | 'directory'
    | 'receivers'
    | 'receive'
    | 'previews'
    | 'publicUrl'
    | 'socketUrl'
    | 'audit'
    | 'auditReader'
    | 'revocations'
    | 'erasures'
    | 'page'
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

/** The HTTP interface of this process. */
export interface ServedApi {
  readonly port: number;
  readonly url: string;
  /** A link that opens the page once, within an hour, signed in by the first key with the scope `read`; undefined if none has it. @throws REDIS_UNAVAILABLE */
  openingLink(): Promise<string | undefined>;
}

/** Builds the HTTP interface with what only it needs, and listens. Undone through `defer`. @throws CONFIGURATION_INVALID, REDIS_UNAVAILABLE */
export async function serveApi(parts: ApiRoleParts): Promise<ServedApi> {
  const { config, redis, vault, inbox, log, metrics, defer } = parts;
  const producer = createProducer({ ...parts, partitions: config.partitions });
  defer('producer', producer.close);
  const views = await openQueueViews(redis, config.partitions);
  defer('queue views', views.close);
  defer('queue metrics', metrics.watchQueues(views.counts));
  const { jwtSecret, jwksUrl, jwtIssuer: issuer, jwtAudience: audience, jwtUserClaim: userClaim } = config;
  const apiKeys = createApiKeys(config.apiKeys);
  const keysUnavailable = (error: CarillonError) => log.warn('the keys of the token issuer cannot be fetched', { error });
  const tls = openTls(config, log);
  if (tls) defer('api certificate', async () => tls.close());
  const openings = createOpenings({ redis, vault });
  const api = createApi(
    {
      ...parts,
      producer,
      markAsRead: inbox.markAsRead,
      markAllAsRead: inbox.markAllAsRead,
      apiKeys,
      openings,
      rateApi: config.rateApi,
      allowedOrigins: config.allowedOrigins,
      failed: views,
      verifyToken: createTokenVerifier({ jwtSecret, jwksUrl, issuer, audience, userClaim, keysUnavailable }).verify,
      issueToken: jwtSecret === undefined ? undefined : createTokenIssuer({ jwtSecret, issuer, audience, userClaim }).issue,
      queues: () => views.queues,
      ready: async () => redis.isReady(),
    },
    { port: config.httpPort, tls, trustProxy: config.trustProxy },
  );
  defer('api', api.close);
  const listening = await api.listen();
  return {
    ...listening,
    async openingLink() {
      const viewer = readApiKeys(config.apiKeys).keys.find(({ scopes }) => scopes.includes('read'));
      const key = viewer && apiKeys.find(viewer.bearer);
      return key && `${listening.url}${await openings.issue(key)}`;
    },
  };
}
