import { serveApi } from '@carillon/api';
import { createDeliveries } from '@carillon/deliveries';
import { createDirectory } from '@carillon/directory';
import { createInbox } from '@carillon/inbox';
import { createRedis } from '@carillon/redis';
import { runProcess } from '@carillon/service';
import { createTemplates } from '@carillon/templates';
import { createVault } from '@carillon/vault';
import { apiParts } from './run.js';

/** The HTTP role as a process of its own. It is here, and not in `apps/api`, because it reads what the providers of every channel report. */
const required = ['redisUrl', 'encryptionKeys', 'apiKeys'] as const;

const code = await runProcess('api', { required }, async (parts) => {
  const { config, log, defer } = parts;
  const redis = await createRedis({ url: config.redisUrl, cluster: config.redisCluster }, { prefix: config.redisPrefix, temper: 'prompt' });
  defer('redis', redis.close);
  const vault = createVault(config.encryptionKeys);
  const deliveries = createDeliveries({ redis, retention: config.retentionStatus });
  const limits = { maxItems: config.inboxMax, retention: config.retentionInbox };
  const inbox = createInbox({ redis, vault, limits, onRead: deliveries.markRead });
  defer('inbox', inbox.close);
  const templates = await createTemplates(redis);
  defer('templates', templates.close);
  const directory = await createDirectory({ redis, vault });
  const stores = { redis, vault, templates, deliveries, inbox, directory };
  const { port } = await serveApi({
    ...parts,
    ...apiParts({ config, deliveries, directory, redis, vault }, parts.metrics, `ws://localhost:${config.wsPort}`),
    ...stores,
  });
  log.info('api listening', { port });
  return { ready: async () => redis.isReady() };
});
process.exit(code);
