// The yardstick: one job per notification.
import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { loadAsks } from '../load.js';
import { argument, serveRole } from '../role.js';

const tuned = argument('tuned') === 'true';
const queue = new Queue('render', { connection: new Redis(argument('redisUrl')) });

async function queueNotification(notification: { userId: string; templateId: string; data: Record<string, string> }): Promise<string> {
  const id = randomUUID();
  await queue.add('render', { id, ...notification, createdAt: Date.now() }, { removeOnComplete: tuned });
  return id;
}

await queue.waitUntilReady();
serveRole(loadAsks(queueNotification));
