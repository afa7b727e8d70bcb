import { createDeliveries } from '@carillon/deliveries';
import { createInbox } from '@carillon/inbox';
import { createRedis } from '@carillon/redis';
import { runProcess } from '@carillon/service';
import { createTemplates } from '@carillon/templates';
import { createVault } from '@carillon/vault';
import { serveApi } from './serve.js';

const required = ['redisUrl', 'encryptionKeys', 'apiKeys'] as const;

const code = await runProcess('api', { required }, async (parts) => {
  const { config, log, defer } = parts;
  const redis = await createRedis({ url: config.redisUrl, cluster: config.redisCluster }, { prefix: config.redisPrefix, temper: 'prompt' });
  defer('redis', redis.close);
  const vault = createVault(config.encryptionKeys);
  const deliveries = createDeliveries({ redis, retention: config.retentionStatus });
  const limits = { maxItems: config.inboxMax, retention: config.retentionInbox };
  const inbox = createInbox({ redis, vault, limits, onRead: deliveries.markRead });
  const templates = await createTemplates(redis);
  defer('templates', templates.close);
  const { port } = await serveApi({ ...parts, redis, vault, templates, deliveries, inbox, socketUrl: `ws://localhost:${config.wsPort}` });
  log.info('api listening', { port });
  return { ready: async () => redis.isReady() };
});
process.exit(code);
