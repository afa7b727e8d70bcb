import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { count } from './counts.js';
import { createService, endings, greet, hello, newPrefix, openStores, type Stores } from './system.js';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
const later = endings();

/** Harmless where it is queued, too long where it is rendered, see `swell`: two hundred rows of a kilobyte each. */
const bomb = { id: 'bomb', title: 'Rows', body: '{{#rows}}x{{/rows}}', channels: ['in_app' as const] };
const explode = (userId: string) => ({ userId, templateId: 'bomb', data: { rows: Array.from({ length: 200 }, (_, i) => i) } });

async function start() {
  const place = { redisUrl: redis.url, prefix: newPrefix() };
  // Registered by somebody else, so that no announcement empties the caches under test.
  const before = await openStores(place);
  await before.templates.register(hello);
  await before.templates.register(bomb);
  const { version } = await before.templates.register({ ...bomb, id: 'doomed', body: 'short' });
  await before.close();
  const stores = await openStores(place);
  later(() => stores.close());
  const service = createService(place);
  later(() => service.close());
  return { stores, service, version };
}

/** Changes the stored version behind everybody's back: whoever has not read it yet renders what nobody checked. */
async function swell({ redis: store }: Stores) {
  const key = store.keys.template('bomb');
  const version = await store.command<string>('HGET', key, 'current');
  const stored = await store.command<string>('HGET', key, `version:${version}`);
  expect(stored).toContain(bomb.body);
  await store.command('HSET', key, `version:${version}`, stored.replace(bomb.body, `{{#rows}}${'x'.repeat(1000)}{{/rows}}`));
}

/** Queues a hundred as one job: 99 good ones of many users, the poison in the middle. */
async function queueBatch(stores: Stores, poison: ReturnType<typeof explode> | ReturnType<typeof greet>) {
  const innocent = Array.from({ length: 99 }, (_, i) => greet(`user ${i % 10}`, `${i}`));
  // With warm caches the hundred are ready in one tick and leave together.
  await stores.templates.current(poison.templateId);
  await stores.templates.current('hello');
  await stores.vault.people(
    [...innocent, poison].map(({ userId }) => userId),
    'make',
  );
  await swell(stores);
  const results = await stores.producer.queueNotifications([...innocent.slice(0, 50), poison, ...innocent.slice(50)]);
  const ids = results.map((result) => {
    if (!result.ok) throw result.error;
    return result.id;
  });
  const queue = stores.views.queues.find(({ name }) => name === 'render-0');
  expect(await queue?.getJobCounts('prioritized')).toEqual({ prioritized: 1 });
  return { poison: ids[50] as string, innocent: ids.toSpliced(50, 1) };
}

async function expectInnocentOnce(stores: Stores, innocent: string[]) {
  const arrived = async () => {
    const heads = await Promise.all(Array.from({ length: 10 }, (_, i) => stores.inbox.head(`user ${i}`)));
    return heads.reduce((sum, { offset }) => sum + offset, 0);
  };
  await waitFor(async () => (await arrived()) >= 99, { what: 'the 99 others' });
  const pages = await Promise.all(Array.from({ length: 10 }, (_, i) => stores.inbox.page(`user ${i}`, { limit: 100 })));
  expect(pages.flatMap(({ data }) => data.map(({ id }) => id)).toSorted()).toEqual(innocent.toSorted());
  expect(await arrived()).toBe(99);
}

async function expectFailed(stores: Stores, stage: string, id: string, code: string, timeout = 10_000) {
  const queue = stores.views.queues.find(({ name }) => name === `${stage}-0`);
  const jobs = await waitFor(
    async () => {
      const failed = (await queue?.getFailed()) ?? [];
      return failed.length > 0 && failed;
    },
    { timeout, what: `a failed job of ${stage}` },
  );
  expect(jobs).toHaveLength(1);
  expect(jobs[0]?.data.ids).toEqual([id]);
  expect(jobs[0]?.failedReason).toMatch(new RegExp(`^${code}: `));
  expect(jobs[0]?.stacktrace?.at(-1)).toMatch(/\n\s+at .+\.(ts|js):\d+/);
  // What a job carries is sealed, its failure says nothing of it.
  expect(JSON.stringify(jobs[0])).not.toContain('xxxxxxxxxx');
  expect(await stores.deliveries.get(id)).toMatchObject({
    status: 'failed',
    deliveries: [{ channel: 'in_app', status: 'failed', reason: code }],
  });
}

test('one that cannot be rendered fails alone, with its reason', async () => {
  const { stores, service } = await start();
  const { poison, innocent } = await queueBatch(stores, explode('user 3'));
  await service.start();
  await expectInnocentOnce(stores, innocent);
  await expectFailed(stores, 'render', poison, 'RENDER_FAILED');
});

test('one whose template version is gone from Redis fails alone, with its reason', async () => {
  const { stores, service, version } = await start();
  const { poison, innocent } = await queueBatch(stores, { ...explode('user 3'), templateId: 'doomed' });
  await stores.redis.command('HDEL', stores.redis.keys.template('doomed'), `version:${version}`);
  await service.start();
  await expectInnocentOnce(stores, innocent);
  await expectFailed(stores, 'render', poison, 'TEMPLATE_NOT_FOUND');
});

test('one whose inbox is broken is tried again alone, and arrives once it is mended', async () => {
  const { stores, service } = await start();
  await stores.redis.command('SET', stores.redis.keys.inbox('broken')[1], 'not a sorted set');
  const { poison, innocent } = await queueBatch(stores, greet('broken', 'x'));
  await service.start();
  await expectInnocentOnce(stores, innocent);
  expect(await stores.deliveries.get(poison)).toMatchObject({ status: 'pending' });
  const queue = stores.views.queues.find(({ name }) => name === 'in_app-0');
  const alone = await waitFor(async () => (await queue?.getDelayed())?.find(({ data }) => data.ids.includes(poison)), {
    what: 'the poison one to wait for its next try',
  });
  expect(alone.data.ids).toEqual([poison]);
  await stores.redis.command('DEL', stores.redis.keys.inbox('broken')[1]);
  await waitFor(async () => (await stores.deliveries.get(poison)).status === 'delivered', { timeout: 60_000, what: 'it to arrive' });
  const { changes } = (await stores.inbox.since('broken', { ...(await stores.inbox.head('broken')), offset: 0 })) as { changes: unknown[] };
  expect(changes).toHaveLength(1);
  expect(await stores.inbox.page('broken', { limit: 10 })).toMatchObject({ data: [{ id: poison }], offset: 1, unreadCount: 1 });
});

// All ten tries take about a minute and a half: pauses of half a second, doubling to one minute, halved on average by jitter.
const slowly = count(0, 1) ? test : test.skip;
slowly('one whose inbox stays broken fails alone after its last try', async () => {
  const { stores, service } = await start();
  await stores.redis.command('SET', stores.redis.keys.inbox('broken')[1], 'not a sorted set');
  const { poison, innocent } = await queueBatch(stores, greet('broken', 'x'));
  await service.start();
  await expectInnocentOnce(stores, innocent);
  await expectFailed(stores, 'in_app', poison, 'INTERNAL', 300_000);
  expect((await stores.deliveries.get(poison)).deliveries[0]?.attempts).toBe(10);
});

test('a job that cannot be opened harms no other job', async () => {
  const { stores, service } = await start();
  const queue = stores.views.queues.find(({ name }) => name === 'render-0');
  const forged = { v: 2, ids: ['?'], owners: ['?'], tries: 0, sealed: ['bm90IHNlYWxlZA=='] };
  await queue?.add('render', forged, { jobId: 'forged', priority: 1, attempts: 10 });
  await queue?.add('render', 'nonsense', { jobId: 'nonsense', priority: 1, attempts: 10 });
  const id = await service.queueNotification(greet('ann', 'x'));
  await service.start();
  await waitFor(async () => (await stores.deliveries.get(id)).status === 'delivered', { what: 'the good one' });
  const failed = await waitFor(
    async () => {
      const jobs = (await queue?.getFailed()) ?? [];
      return jobs.length === 2 && jobs;
    },
    { what: 'both forged jobs to fail' },
  );
  expect(failed.map(({ id: jobId, failedReason }) => [jobId, failedReason?.split(':')[0]]).toSorted()).toEqual([
    ['forged', 'SEAL_BROKEN'],
    ['nonsense', 'JOB_UNREADABLE'],
  ]);
});
