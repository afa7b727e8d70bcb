import { runChannel } from '@carillon/channel';
import { createDeliveries } from '@carillon/deliveries';
import { createInbox } from '@carillon/inbox';
import { createRedis } from '@carillon/redis';
import { runProcess, workerEvents } from '@carillon/service';
import { createVault } from '@carillon/vault';
import { createInAppChannel, IN_APP_CONCURRENCY } from './in-app.js';

/** Time for the jobs under way at shutdown, ms. */
const DEADLINE_MS = 20_000;

const code = await runProcess('in-app', { required: ['redisUrl', 'encryptionKeys'] }, async (parts) => {
  const { config, defer } = parts;
  const redis = await createRedis(
    { url: config.redisUrl, cluster: config.redisCluster },
    { prefix: config.redisPrefix, temper: 'patient' },
  );
  defer('redis', redis.close);
  const vault = createVault(config.encryptionKeys);
  const inbox = createInbox({ redis, vault, limits: { maxItems: config.inboxMax, retention: config.retentionInbox } });
  const worker = await runChannel({
    redis,
    vault,
    deliveries: createDeliveries({ redis, retention: config.retentionStatus }),
    channel: createInAppChannel(inbox),
    partitions: config.partitions,
    concurrency: IN_APP_CONCURRENCY,
    events: workerEvents(parts),
  });
  defer('in-app', () => worker.close(DEADLINE_MS));
  return { ready: async () => redis.isReady() };
});
process.exit(code);
