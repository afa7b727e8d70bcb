// Queues notifications for one channel as a backend does, for people Carillon knows. Renderer and channel are the apps' own mains.
import { openAudit } from '@carillon/audit';
import { createDeliveries } from '@carillon/deliveries';
import { createDirectory } from '@carillon/directory';
import { createProducer } from '@carillon/producer';
import { createRedis } from '@carillon/redis';
import { createTemplates } from '@carillon/templates';
import { connectVault } from '@carillon/vault';
import { loadAsks } from '../load.js';
import { argument, serveRole } from '../role.js';
import { addressOf, deviceOf, template, USERS, userName } from '../workload.js';

/** Milliseconds records are kept: the default of NOTIFICATION_RETENTION_STATUS. */
const RETENTION = 30 * 24 * 3600 * 1000;
/** Milliseconds the audit trail is kept: the default of NOTIFICATION_RETENTION_AUDIT. */
const RETENTION_AUDIT = 6 * 365 * 24 * 3600 * 1000;
const PREFIX = 'notification:';

const redis = await createRedis({ url: argument('redisUrl') }, { prefix: PREFIX, temper: 'prompt' });
const audit = await openAudit({ redis, sink: 'redis', retention: RETENTION_AUDIT, writer: 'producer' });
const settings = { encryptionKeys: argument('encryptionKeys'), redisPrefix: PREFIX };
const vault = await connectVault(settings, { redis, audit, defer: () => {} });
const directory = createDirectory({ redis, vault });
for (let index = 0; index < USERS; index++) {
  await directory.setProfile(userName(index), { email: addressOf(index) });
  await directory.addDevice(userName(index), { fcm: { token: deviceOf(index) }, platform: 'android' });
}
const templates = await createTemplates(redis);
await templates.register({ ...template, channels: [argument('channel') === 'email' ? 'email' : 'push'] });
const producer = createProducer({
  redis,
  vault,
  templates,
  deliveries: createDeliveries({ redis, retention: RETENTION }),
  partitions: 1,
});
serveRole(loadAsks(producer.queueNotification));
