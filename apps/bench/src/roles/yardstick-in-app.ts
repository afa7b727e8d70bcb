// The yardstick: stores one notification per job, counts it and announces it; tuned, in one round trip.
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { argument, serveRole } from '../role.js';

/** Jobs worked on at once when tuned; BullMQ's own default is 1. */
const CONCURRENCY = 50;

const tuned = argument('tuned') === 'true';
const url = argument('redisUrl');
const redis = new Redis(url);

async function plain(userId: string, id: string, createdAt: number, text: string) {
  await redis.hset(`notifications:${userId}`, id, text);
  await redis.zadd(`index:${userId}`, createdAt, id);
  await redis.incr(`unread:${userId}`);
  await redis.publish(`user:${userId}`, text);
}

async function inOneTrip(userId: string, id: string, createdAt: number, text: string) {
  await redis
    .pipeline()
    .hset(`notifications:${userId}`, id, text)
    .zadd(`index:${userId}`, createdAt, id)
    .incr(`unread:${userId}`)
    .publish(`user:${userId}`, text)
    .exec();
}

const store = tuned ? inOneTrip : plain;
const worker = new Worker(
  'in_app',
  async ({ data: notification }) => {
    const { id, userId, createdAt } = notification;
    await store(userId, id, createdAt, JSON.stringify(notification));
  },
  { connection: new Redis(url, { maxRetriesPerRequest: null }), ...(tuned && { concurrency: CONCURRENCY }) },
);
await worker.waitUntilReady();
serveRole();
