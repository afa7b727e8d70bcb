import { serveApi } from '@carillon/api';
import { connectAudit } from '@carillon/audit';
import { createDeliveries } from '@carillon/deliveries';
import { createDirectory } from '@carillon/directory';
import { createInbox } from '@carillon/inbox';
import { createRedis, serverFacts } from '@carillon/redis';
import { runProcess } from '@carillon/service';
import { createTemplates } from '@carillon/templates';
import { connectVault } from '@carillon/vault';
import { apiParts } from './run.js';

/** The HTTP role as a process of its own. It is here, and not in `apps/api`, because it reads what the providers of every channel report. */
const required = ['redisUrl', 'encryptionKeys', 'apiKeys'] as const;

const code = await runProcess('api', { required, probe: serverFacts }, async (parts) => {
  const { config, log, metrics, defer } = parts;
  const redis = await createRedis({ url: config.redisUrl, cluster: config.redisCluster }, { prefix: config.redisPrefix, temper: 'prompt' });
  defer('redis', redis.close);
  const audit = await connectAudit(config, { redis, role: 'api', log, defer });
  const vault = await connectVault(config, { redis, audit, defer });
  const deliveries = createDeliveries({ redis, retention: config.retentionStatus });
  const limits = { maxItems: config.inboxMax, retention: config.retentionInbox };
  const inbox = createInbox({ redis, vault, limits, onRead: deliveries.markRead });
  defer('inbox', inbox.close);
  const templates = await createTemplates(redis, { phiPolicy: config.phiPolicy });
  defer('templates', templates.close);
  const base = { ...parts, redis, vault, audit, templates, deliveries, inbox, directory: createDirectory({ redis, vault }) };
  const { port } = await serveApi({ ...base, ...apiParts(base, metrics, config.wsPort) });
  log.info('api listening', { port });
  return { ready: async () => redis.isReady() };
});
process.exit(code);
