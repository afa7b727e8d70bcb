// The yardstick: queues one job per message, ready to be sent.
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import Mustache from 'mustache';
import { argument, serveRole } from '../role.js';
import { addressOf, deviceOf, request, template } from '../workload.js';

/** Jobs added in one round trip. */
const CHUNK = 500;

const queue = new Queue('send', { connection: new Redis(argument('redisUrl')) });

async function burst({ count }: { count: number }): Promise<void> {
  for (let from = 0; from < count; from += CHUNK) {
    const jobs = Array.from({ length: Math.min(CHUNK, count - from) }, (_, offset) => {
      const index = from + offset;
      const body = Mustache.render(template.body, request(index).data);
      return { name: 'send', data: { to: addressOf(index), device: deviceOf(index), title: template.title, body } };
    });
    await queue.addBulk(jobs);
  }
}

await queue.waitUntilReady();
serveRole({ burst });
