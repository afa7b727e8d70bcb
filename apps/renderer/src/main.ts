import { createDeliveries } from '@carillon/deliveries';
import { createDirectory } from '@carillon/directory';
import { createRedis } from '@carillon/redis';
import { runProcess, workerEvents } from '@carillon/service';
import { createTemplates } from '@carillon/templates';
import { createVault } from '@carillon/vault';
import { runRenderer } from './renderer.js';

/** Time for the jobs under way at shutdown, ms. */
const DEADLINE_MS = 20_000;

const code = await runProcess('renderer', { required: ['redisUrl', 'encryptionKeys'] }, async (parts) => {
  const { config, defer, log } = parts;
  const redis = await createRedis(
    { url: config.redisUrl, cluster: config.redisCluster },
    { prefix: config.redisPrefix, temper: 'patient' },
  );
  defer('redis', redis.close);
  const templates = await createTemplates(redis);
  defer('templates', templates.close);
  const vault = createVault(config.encryptionKeys);
  const renderer = await runRenderer({
    redis,
    templates,
    vault,
    directory: await createDirectory({ redis, vault }),
    deliveries: createDeliveries({ redis, retention: config.retentionStatus }),
    partitions: config.partitions,
    events: workerEvents(parts),
  });
  defer('renderer', () => renderer.close(DEADLINE_MS));
  log.info('working');
  return { ready: async () => redis.isReady() };
});
process.exit(code);
