import { startRedis, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import type { NotificationService } from '../src/index.js';
import { count } from './counts.js';
import { createService, end, endings, greet, hello, openStores, startRole } from './system.js';

const later = endings();
/** A job holds this many at most: what is under way when something urgent comes is not taken back. */
const JOB = 100;
const LOW = count(1000, 5000);
const USERS = 10;

interface Heard {
  readonly priority: string;
  readonly deliveredAt: number;
}

/** Notes what arrives, and when it was delivered: in a flood the sockets of different users are written to in no common order. */
function listen(service: NotificationService): Heard[] {
  const heard: Heard[] = [];
  for (let i = 0; i < USERS; i++) {
    service.registerClient(`user ${i}`, {
      readyState: 1,
      bufferedAmount: 0,
      on: () => undefined,
      send(text: string) {
        const frame = JSON.parse(text);
        if (frame.event === 'new') heard.push(frame.data);
      },
    });
  }
  return heard;
}

async function queue(service: NotificationService, priority: 'low' | 'normal' | 'urgent', size: number) {
  for (let from = 0; from < size; from += JOB) {
    const some = Array.from({ length: Math.min(JOB, size - from) }, (_, i) => greet(`user ${i % USERS}`, 'x', { priority }));
    for (const result of await service.queueNotifications(some)) if (!result.ok) throw result.error;
  }
}

/** How many of a lower priority were delivered before the last of this one. */
function overtaken(heard: readonly Heard[], priority: string, by: string): number {
  const last = Math.max(...heard.filter((one) => one.priority === priority).map(({ deliveredAt }) => deliveredAt));
  return heard.filter((one) => one.priority === by && one.deliveredAt < last).length;
}

async function start() {
  const redis = await startRedis();
  later(() => redis.stop());
  const place = { redisUrl: redis.url };
  const service = createService(place, { inboxMax: 10_000 });
  later(() => service.close());
  await service.registerTemplate(hello);
  const heard = listen(service);
  await queue(service, 'low', LOW);
  await queue(service, 'normal', 50);
  await queue(service, 'urgent', 20);
  return { place, service, heard };
}

function expectOrder(heard: readonly Heard[]) {
  expect(overtaken(heard, 'urgent', 'low')).toBeLessThan(JOB);
  expect(overtaken(heard, 'urgent', 'normal')).toBeLessThanOrEqual(50);
  expect(overtaken(heard, 'normal', 'low')).toBeLessThan(8 * JOB);
}

test('what is urgent overtakes what waits, stage by stage, in workers of their own', async () => {
  const { place, heard } = await start();
  const stores = await openStores(place);
  later(() => stores.close());
  const renderer = startRole('renderer', place);
  later(() => end(renderer));
  await waitFor(() => stores.views.idle(['render']), { timeout: 60_000, what: 'all to be rendered' });
  expect(heard).toEqual([]);
  const worker = startRole('in-app', place);
  later(() => end(worker));
  await waitFor(() => heard.length === LOW + 70, { timeout: 60_000, what: 'all to be heard' });
  expectOrder(heard);
});

test('in one process all urgent ones arrive before the hundredth low one', async () => {
  const { service, heard } = await start();
  await service.processQueue();
  await waitFor(() => heard.length === LOW + 70, { timeout: 60_000, what: 'all to be heard' });
  expectOrder(heard);
});
