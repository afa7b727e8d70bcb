// Carillon's producer, put together as in apps/standalone, under load. Renderer, in-app channel and gateway are the apps' own mains.
import { createDeliveries } from '@carillon/deliveries';
import { createProducer } from '@carillon/producer';
import { createRedis } from '@carillon/redis';
import { createTemplates } from '@carillon/templates';
import { createVault } from '@carillon/vault';
import { loadAsks } from '../load.js';
import { argument, serveRole } from '../role.js';
import { template } from '../workload.js';

/** Milliseconds records are kept: the default of NOTIFICATION_RETENTION_STATUS. */
const RETENTION = 30 * 24 * 3600 * 1000;

const redis = await createRedis({ url: argument('redisUrl') }, { prefix: 'notification:', temper: 'prompt' });
const templates = await createTemplates(redis);
await templates.register({ ...template, channels: ['in_app'] });
const producer = await createProducer({
  redis,
  vault: createVault(argument('encryptionKeys')),
  templates,
  deliveries: createDeliveries({ redis, retention: RETENTION }),
  partitions: 1,
});
serveRole(loadAsks(producer.queueNotification));
