import { createApiKeys, createTokenIssuer } from '@carillon/access';
import { createDeliveries } from '@carillon/deliveries';
import { createInbox } from '@carillon/inbox';
import { createProducer } from '@carillon/producer';
import { openQueueViews } from '@carillon/queue';
import { createRedis } from '@carillon/redis';
import { runProcess } from '@carillon/service';
import { createTemplates } from '@carillon/templates';
import { createVault } from '@carillon/vault';
import { createApi } from './api.js';

const required = ['redisUrl', 'encryptionKeys', 'apiKeys'] as const;

const code = await runProcess('api', { required }, async ({ config, log, metrics, defer }) => {
  const redis = await createRedis({ url: config.redisUrl, cluster: config.redisCluster }, { prefix: config.redisPrefix, temper: 'prompt' });
  defer('redis', redis.close);
  const vault = createVault(config.encryptionKeys);
  const deliveries = createDeliveries({ redis, retention: config.retentionStatus });
  const limits = { maxItems: config.inboxMax, retention: config.retentionInbox };
  const inbox = createInbox({ redis, vault, limits, onRead: deliveries.markRead });
  const templates = await createTemplates(redis);
  defer('templates', templates.close);
  const producer = await createProducer({ redis, vault, templates, deliveries, partitions: config.partitions });
  defer('producer', producer.close);
  const views = await openQueueViews(redis, config.partitions);
  defer('queue views', views.close);
  defer('queue metrics', metrics.watchQueues(views.counts));
  const { jwtSecret, jwtIssuer: issuer, jwtAudience: audience, jwtUserClaim: userClaim } = config;
  const ready = async () => redis.isReady();
  const api = createApi(
    {
      producer,
      templates,
      deliveries,
      inbox,
      vault,
      metrics,
      log,
      ready,
      markAsRead: inbox.markAsRead,
      markAllAsRead: inbox.markAllAsRead,
      apiKeys: createApiKeys(config.apiKeys),
      issueToken: jwtSecret === undefined ? undefined : createTokenIssuer({ jwtSecret, issuer, audience, userClaim }).issue,
      socketUrl: `ws://localhost:${config.wsPort}`,
      queues: () => views.queues,
    },
    { port: config.httpPort },
  );
  defer('api', api.close);
  const { port } = await api.listen();
  log.info('api listening', { port });
  return { ready };
});
process.exit(code);
