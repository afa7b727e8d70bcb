// The yardstick: renders one notification per job and queues one job for it.
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import Mustache from 'mustache';
import { argument, serveRole } from '../role.js';
import { template } from '../workload.js';

/** Jobs worked on at once when tuned; BullMQ's own default is 1. */
const CONCURRENCY = 50;

const tuned = argument('tuned') === 'true';
const url = argument('redisUrl');
const queue = new Queue('in_app', { connection: new Redis(url) });
const worker = new Worker(
  'render',
  async ({ data: { data, ...notification } }) => {
    // Mustache keeps what it has parsed.
    const body = Mustache.render(template.body, data);
    await queue.add('in_app', { ...notification, title: template.title, body }, { removeOnComplete: tuned });
  },
  { connection: new Redis(url, { maxRetriesPerRequest: null }), ...(tuned && { concurrency: CONCURRENCY }) },
);
await worker.waitUntilReady();
serveRole();
