import { connectAudit } from '@carillon/audit';
import { createDeliveries } from '@carillon/deliveries';
import { createInbox } from '@carillon/inbox';
import { createRedis, serverFacts } from '@carillon/redis';
import { runProcess } from '@carillon/service';
import { connectVault } from '@carillon/vault';
import { openGateway } from './role.js';
import { listen } from './server.js';

const required = ['redisUrl', 'encryptionKeys'] as const;
const eitherOf = ['jwtSecret', 'jwksUrl'] as const;

const code = await runProcess('gateway', { required, eitherOf, sockets: true, probe: serverFacts }, async (parts) => {
  const { config, log, defer } = parts;
  const redis = await createRedis({ url: config.redisUrl, cluster: config.redisCluster }, { prefix: config.redisPrefix, temper: 'prompt' });
  defer('redis', redis.close);
  const audit = await connectAudit(config, { redis, role: 'gateway', log, defer });
  const deliveries = createDeliveries({ redis, retention: config.retentionStatus });
  const inbox = createInbox({
    redis,
    vault: await connectVault(config, { redis, audit, defer }),
    limits: { maxItems: config.inboxMax, retention: config.retentionInbox },
    onRead: deliveries.markRead,
  });
  defer('inbox', inbox.close);
  const listener = await listen(openGateway({ ...parts, redis, inbox, audit }), { port: config.wsPort });
  defer('port', listener.close);
  log.info('gateway listening', { port: listener.port });
  return { ready: async () => redis.isReady() };
});
process.exit(code);
