import { type SpawnedProcess, startRedis, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { count } from './counts.js';
import { Acknowledged, end, endings, environmentOf, greet, hello, openStores, startFixture, startRole } from './system.js';

const later = endings();
/** Notifications in the batch, the killer among them. */
const BATCH = count(30, 100);

test('one that kills its worker every time is singled out and given up; all others arrive once', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const place = { redisUrl: redis.url };
  const stores = await openStores(place);
  later(() => stores.close());
  await stores.templates.register(hello);
  const renderer = startRole('renderer', place);
  later(() => end(renderer));

  const killerAt = Math.floor(BATCH / 2);
  const requests = Array.from({ length: BATCH }, (_, i) => greet(`user ${i % 7}`, `${i}`));
  (requests[killerAt] as { data: object }).data = { name: 'x', kill: true };
  const results = await stores.producer.queueNotifications(requests);
  const acknowledged = new Acknowledged();
  let killer = '';
  results.forEach((result, i) => {
    if (!result.ok) throw result.error;
    if (i === killerAt) killer = result.id;
    else acknowledged.add(requests[i]?.userId as string, result.id);
  });
  // Before the worker starts, so that they wait in as few jobs as may be.
  await waitFor(() => stores.views.idle(['render']), { what: 'the batch to be rendered' });

  let deaths = 0;
  let worker: SpawnedProcess | undefined;
  let stopped = false;
  const keepUp = async () => {
    while (!stopped) {
      worker = startFixture('deadly-worker', environmentOf(place));
      const { signal } = await worker.exited;
      if (signal === 'SIGKILL') deaths++;
    }
  };
  const keeper = keepUp();
  later(async () => {
    stopped = true;
    worker?.kill('SIGKILL');
    await keeper;
  });

  await waitFor(async () => (await stores.deliveries.get(killer)).status === 'failed', {
    timeout: count(110_000, 200_000),
    what: 'the killer to be given up',
  });
  expect(await stores.deliveries.get(killer)).toMatchObject({
    deliveries: [{ channel: 'in_app', status: 'failed', reason: 'JOB_CRASHED_WORKER' }],
  });
  expect(deaths).toBeGreaterThan(2);
  expect(worker?.output()).toContain('ready');

  const quarantine = stores.views.queues.find(({ name }) => name === 'in_app-quarantine');
  const failed = await waitFor(
    async () => {
      const found = (await quarantine?.getFailed()) ?? [];
      return found.length > 0 && found;
    },
    { what: 'the failed job' },
  );
  expect(failed.map(({ data, failedReason }) => [data.ids, failedReason?.split(':')[0]])).toEqual([[[killer], 'JOB_CRASHED_WORKER']]);
  const jobs = stores.views.queues.find(({ name }) => name === 'in_app-0');
  expect(await jobs?.getFailed()).toEqual([]);

  await waitFor(() => acknowledged.hasArrived(stores.inbox), { timeout: 30_000, what: 'all others' });
  await waitFor(() => stores.views.idle(['in_app']), { what: 'the queues to be worked off' });
  await acknowledged.expectOnce(stores.inbox);
  for (const [userId, ids] of acknowledged.byUser) expect((await stores.inbox.head(userId)).offset).toBe(ids.length);
});
