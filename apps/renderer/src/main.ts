import { connectAudit } from '@carillon/audit';
import { createDeliveries } from '@carillon/deliveries';
import { createDirectory } from '@carillon/directory';
import { createRedis, serverFacts } from '@carillon/redis';
import { runProcess, workerEvents } from '@carillon/service';
import { createTemplates } from '@carillon/templates';
import { connectVault } from '@carillon/vault';
import { runRenderer } from './renderer.js';

/** Time for the jobs under way at shutdown, ms. */
const DEADLINE_MS = 20_000;

const code = await runProcess('renderer', { required: ['redisUrl', 'encryptionKeys'], probe: serverFacts }, async (parts) => {
  const { config, defer, log } = parts;
  const redis = await createRedis(
    { url: config.redisUrl, cluster: config.redisCluster },
    { prefix: config.redisPrefix, temper: 'patient' },
  );
  defer('redis', redis.close);
  const audit = await connectAudit(config, { redis, role: 'renderer', log, defer });
  const vault = await connectVault(config, { redis, audit, defer });
  const templates = await createTemplates(redis, { phiPolicy: config.phiPolicy });
  defer('templates', templates.close);
  const renderer = await runRenderer({
    redis,
    templates,
    vault,
    directory: createDirectory({ redis, vault }),
    deliveries: createDeliveries({ redis, retention: config.retentionStatus }),
    partitions: config.partitions,
    piiPolicy: config.piiPolicy,
    audit,
    events: workerEvents(parts),
  });
  defer('renderer', () => renderer.close(DEADLINE_MS));
  log.info('working');
  return { ready: async () => redis.isReady() };
});
process.exit(code);
