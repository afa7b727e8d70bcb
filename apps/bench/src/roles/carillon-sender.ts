// Queues notifications for one channel as a backend does, for people Carillon knows. Renderer and channel are the apps' own mains.
import { createDeliveries } from '@carillon/deliveries';
import { createDirectory } from '@carillon/directory';
import { createProducer } from '@carillon/producer';
import { createRedis } from '@carillon/redis';
import { createTemplates } from '@carillon/templates';
import { createVault } from '@carillon/vault';
import { loadAsks } from '../load.js';
import { argument, serveRole } from '../role.js';
import { addressOf, deviceOf, template, USERS, userName } from '../workload.js';

/** Milliseconds records are kept: the default of NOTIFICATION_RETENTION_STATUS. */
const RETENTION = 30 * 24 * 3600 * 1000;

const redis = await createRedis({ url: argument('redisUrl') }, { prefix: 'notification:', temper: 'prompt' });
const vault = createVault(argument('encryptionKeys'));
const directory = await createDirectory({ redis, vault });
for (let index = 0; index < USERS; index++) {
  await directory.setProfile(userName(index), { email: addressOf(index) });
  await directory.addDevice(userName(index), { fcm: { token: deviceOf(index) }, platform: 'android' });
}
const templates = await createTemplates(redis);
await templates.register({ ...template, channels: [argument('channel') === 'email' ? 'email' : 'push'] });
const producer = await createProducer({
  redis,
  vault,
  templates,
  deliveries: createDeliveries({ redis, retention: RETENTION }),
  partitions: 1,
});
serveRole(loadAsks(producer.queueNotification));
