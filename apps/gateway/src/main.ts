import { createDeliveries } from '@carillon/deliveries';
import { createInbox } from '@carillon/inbox';
import { createRedis } from '@carillon/redis';
import { runProcess } from '@carillon/service';
import { createVault } from '@carillon/vault';
import { openGateway } from './role.js';
import { listen } from './server.js';

const required = ['redisUrl', 'encryptionKeys', 'jwtSecret'] as const;

const code = await runProcess('gateway', { required }, async (parts) => {
  const { config, log, defer } = parts;
  const redis = await createRedis({ url: config.redisUrl, cluster: config.redisCluster }, { prefix: config.redisPrefix, temper: 'prompt' });
  defer('redis', redis.close);
  const deliveries = createDeliveries({ redis, retention: config.retentionStatus });
  const inbox = createInbox({
    redis,
    vault: createVault(config.encryptionKeys),
    limits: { maxItems: config.inboxMax, retention: config.retentionInbox },
    onRead: deliveries.markRead,
  });
  defer('inbox', inbox.close);
  const listener = await listen(openGateway({ ...parts, inbox }), { port: config.wsPort });
  defer('port', listener.close);
  log.info('gateway listening', { port: listener.port });
  return { ready: async () => redis.isReady() };
});
process.exit(code);
