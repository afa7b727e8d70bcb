// The yardstick: stores one notification per job, counts it and announces it, in one round trip.
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { argument, serveRole } from '../role.js';

/** Jobs worked on at once. */
const CONCURRENCY = 50;

const url = argument('redisUrl');
const redis = new Redis(url);
const worker = new Worker(
  'in_app',
  async ({ data: notification }) => {
    const { id, userId, createdAt } = notification;
    const text = JSON.stringify(notification);
    await redis
      .pipeline()
      .hset(`notifications:${userId}`, id, text)
      .zadd(`index:${userId}`, createdAt, id)
      .incr(`unread:${userId}`)
      .publish(`user:${userId}`, text)
      .exec();
  },
  { connection: new Redis(url, { maxRetriesPerRequest: null }), concurrency: CONCURRENCY },
);
await worker.waitUntilReady();
serveRole();
