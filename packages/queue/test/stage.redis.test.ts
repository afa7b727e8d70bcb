import { randomUUID } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';
import { createStageQueue, type Item, openQueueViews, pack, queueName, runStage, type StageWorkerOptions } from '@carillon/queue';
import { createRedis, type Redis } from '@carillon/redis';
import { startRedis, waitFor } from '@carillon/testkit';
import { createKeyRing, type KeyStore, openVault, type PersonKey } from '@carillon/vault';
import { memoryKeyStore, memoryVault, testRing } from '@carillon/vault/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Queue } from 'bullmq';
import { z } from 'zod';

interface TestItem extends Item {
  readonly note: string;
}
const provider = createKeyRing(testRing());
const store = memoryKeyStore();
const vault = await openVault({ provider, store });
/** The same store, in which one person is missing. */
const withoutPerson = (whole: KeyStore, name: string): KeyStore => ({
  ...whole,
  get: async (shelf, names) => (await whole.get(shelf, names)).map((value, i) => (names[i] === name ? null : value)),
});
const definition = { name: 'in_app', itemsPerJob: () => 100, item: z.custom<TestItem>() };
const item = (note: string, priority: Item['priority'] = 'normal'): TestItem => ({ id: randomUUID(), userId: 'u', priority, note });

let server: Awaited<ReturnType<typeof startRedis>>;
let redis: Redis;
let raw: Queue;
const cleanup: (() => Promise<unknown>)[] = [];
let name = 0;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  redis = await createRedis({ url: server.url }, { prefix: `queue-test-${name++}:`, temper: 'patient' });
  raw = new Queue(queueName('in_app', 0), { connection: redis.connection, prefix: redis.keys.queue(queueName('in_app', 0)) });
});
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
  await raw.close();
  await redis.close();
});

const queue = () => {
  const stage = createStageQueue({ redis, vault }, definition, queueName('in_app', 0));
  cleanup.push(() => stage.queue.close());
  return stage;
};
const work = async (handle: StageWorkerOptions<TestItem>['handle'], more: Partial<StageWorkerOptions<TestItem>> = {}) => {
  const givenUp: { ids: string[]; code: string; attempts: number }[] = [];
  const worker = await runStage({
    redis,
    vault,
    definition,
    partitions: 1,
    concurrency: 4,
    handle,
    giveUp: async (items, error, attempts) => void givenUp.push({ ids: items.map(({ id }) => id), code: error.code, attempts }),
    ...more,
  });
  cleanup.push(() => worker.close(1000));
  return givenUp;
};

test('hands over the items of a job as they were queued, and keeps none of them readable', async () => {
  const items = [item('CANARY-a'), item('CANARY-b')];
  await queue().add(items.map(pack), { jobId: 'job' });
  expect(JSON.stringify((await raw.getJob('job'))?.data)).not.toContain('CANARY');
  const seen: TestItem[] = [];
  await work(async (given) => {
    seen.push(...given);
    return [];
  });
  await waitFor(() => seen.length === 2, { what: 'the items' });
  expect(seen).toEqual(items);
});

test('one item that fails leaves alone, its neighbours are done once', async () => {
  const items = [item('good'), item('flaky'), item('good')];
  await queue().add(items.map(pack), { jobId: 'job' });
  const tries = new Map<string, number>();
  await work(async (given) =>
    given.map(({ id, note }) => {
      tries.set(id, (tries.get(id) ?? 0) + 1);
      return note === 'flaky' && tries.get(id) === 1 ? new CarillonError('REDIS_UNAVAILABLE') : undefined;
    }),
  );
  await waitFor(() => tries.get((items[1] as TestItem).id) === 2, { what: 'the second try' });
  expect([...tries.values()]).toEqual([1, 2, 1]);
});

test('one that can never succeed ends in the failed set, alone, with code and stack', async () => {
  const items = [item('good'), item('bad'), item('good')];
  await queue().add(items.map(pack), { jobId: 'job' });
  let done = 0;
  const givenUp = await work(async (given) =>
    given.map(({ note }) => {
      if (note === 'good') done++;
      return note === 'bad' ? new CarillonError('RENDER_FAILED', { cause: new Error('CANARY said the data') }) : undefined;
    }),
  );
  await waitFor(async () => (await raw.getFailedCount()) === 1, { what: 'the failed job' });
  const [failed] = await raw.getFailed();
  expect(failed?.data.ids).toEqual([items[1]?.id]);
  expect(failed?.failedReason).toMatch(/^RENDER_FAILED: /);
  expect(failed?.stacktrace?.join('\n')).toContain('stage.redis.test.ts');
  expect(JSON.stringify(failed)).not.toContain('CANARY');
  expect(givenUp).toEqual([{ ids: [items[1]?.id], code: 'RENDER_FAILED', attempts: 2 }]);
  expect(done).toBe(2);
});

test('a fault that all items share is retried whole, not item by item', async () => {
  await queue().add([item('a'), item('b'), item('c')].map(pack), { jobId: 'job' });
  let calls = 0;
  await work(async (given, attempt) => {
    calls++;
    expect(attempt.number).toBe(calls);
    return given.map(() => (calls < 3 ? new CarillonError('INTERNAL') : undefined));
  });
  await waitFor(async () => calls === 3 && !(await raw.getJob('job')), { what: 'the job to be done' });
  expect(await raw.getJobCountByTypes('completed', 'failed', 'delayed', 'wait', 'prioritized')).toBe(0);
});

test('gives up after the last attempt', async () => {
  await queue().add([item('a')].map(pack), { jobId: 'job', tries: 14 });
  const givenUp = await work(async () => {
    throw new Error('any');
  });
  await waitFor(async () => (await raw.getFailedCount()) === 1, { what: 'the failed job' });
  expect(givenUp).toEqual([expect.objectContaining({ code: 'INTERNAL', attempts: 15 })]);
});

test('while our own Redis is the fault, tries are not spent', async () => {
  await queue().add([item('a'), item('b')].map(pack), { jobId: 'job', tries: 14 });
  const numbers: number[] = [];
  const givenUp = await work(async (given, { number }) => {
    numbers.push(number);
    return given.map(() => (numbers.length < 3 ? new CarillonError('QUEUE_FULL', { retryAfter: 20 }) : undefined));
  });
  await waitFor(async () => numbers.length === 3 && !(await raw.getJob('job')), { what: 'the job to be done' });
  expect(numbers).toEqual([15, 15, 15]);
  expect(givenUp).toEqual([]);
});

test('a job that is no job fails at once, its items are given up by their ids, and it holds up nothing', async () => {
  const key = (await vault.people(['u'], 'make')).get('u') as PersonKey;
  const sealed = ['x', 'y'].map((id) => key.seal('job', `in_app ${id}`, '{"not":"an item'));
  const data = { v: 2, ids: ['x', 'y'], owners: [key.name, key.name], tries: 0, sealed };
  await raw.add('x', data, { jobId: 'broken', priority: 1, attempts: 10 });
  await queue().add([item('good')].map(pack), { jobId: 'good' });
  let done = 0;
  const givenUp = await work(async (given) => {
    done += given.length;
    return [];
  });
  await waitFor(async () => done === 1 && (await raw.getFailedCount()) === 1, { what: 'one done, one failed' });
  expect((await raw.getJob('broken'))?.failedReason).toMatch(/^JOB_UNREADABLE: /);
  expect(givenUp).toEqual([{ ids: ['x', 'y'], code: 'JOB_UNREADABLE', attempts: 1 }]);
});

test('a job sealed with a key that is not known yet waits for it', async () => {
  const data = { v: 2, ids: ['x'], owners: [vault.nameOf('u')], tries: 0, sealed: ['bm9uc2Vuc2U='] };
  await raw.add('x', data, { jobId: 'early', attempts: 5, backoff: 60_000 });
  const givenUp = await work(async () => []);
  await waitFor(async () => (await raw.getDelayedCount()) === 1, { what: 'the job to be delayed' });
  expect(givenUp).toEqual([]);
});

test('an item whose key is missing waits by itself, and its neighbours do not wait for it', async () => {
  const stranger = { ...item('stranger'), userId: 'stranger' };
  await queue().add([item('a'), stranger, item('b')].map(pack), { jobId: 'job' });
  const other = await memoryVault({ provider, store: withoutPerson(store, vault.nameOf('stranger')) });
  const seen: string[] = [];
  await work(
    async (given) => {
      seen.push(...given.map(({ note }) => note));
      return [];
    },
    { vault: other },
  );
  await waitFor(async () => seen.length === 2 && (await raw.getDelayedCount()) === 1, { what: 'two done and one that waits' });
  const [waiting] = await raw.getDelayed();
  expect(waiting?.data.ids).toEqual([stranger.id]);
});

test('two addresses of one notification that cannot be read are both set aside, once', async () => {
  const id = randomUUID();
  const to = (device: string) => ({
    id,
    userId: 'stranger',
    priority: 'normal' as const,
    note: device,
    to: { kind: 'fcm' as const, id: device, value: device },
  });
  await queue().add([item('a'), to('one'), to('two')].map(pack), { jobId: 'job' });
  let hidden = true;
  const other = await memoryVault({
    provider,
    cacheMs: 1,
    store: { ...store, get: (shelf, names) => (hidden ? withoutPerson(store, vault.nameOf('stranger')) : store).get(shelf, names) },
  });
  const seen: string[] = [];
  let failures = 0;
  await work(
    async (given) => {
      // The job is tried again whole, without those that were set aside before.
      if (given.some(({ note }) => note === 'a') && failures++ < 2) throw new CarillonError('REDIS_UNAVAILABLE');
      seen.push(...given.map(({ note }) => note));
      return [];
    },
    { vault: other },
  );
  await waitFor(async () => (await raw.getDelayedCount()) >= 2, { what: 'those that wait' });
  hidden = false;
  for (const job of await raw.getDelayed()) await job.promote().catch(() => undefined);
  await waitFor(() => seen.length >= 3, { what: 'all three', timeout: 20_000 });
  expect(seen.sort()).toEqual(['a', 'one', 'two']);
});

test('what was accepted before somebody was erased is not queued again when they are back', async () => {
  const before = { ...item('before'), userId: 'ada', createdAt: Date.now() };
  const { until } = await vault.destroy('ada');
  await vault.release(vault.nameOf('ada'), until);
  await new Promise((resolve) => setTimeout(resolve, 2));
  const after = { ...item('after'), userId: 'ada', createdAt: Date.now() };
  await queue().add([before, after].map(pack), { jobId: 'job' });
  expect((await raw.getJob('job'))?.data.ids).toEqual([after.id]);
});

test('of somebody who was erased nothing is done any more, also if they are queued for again', async () => {
  const before = { ...item('before'), userId: 'ada' };
  await queue().add([item('a'), before].map(pack), { jobId: 'job' });
  await vault.destroy('ada');
  await queue().add([{ ...item('meanwhile'), userId: 'ada' }, item('b')].map(pack), { jobId: 'later' });
  expect((await raw.getJob('later'))?.data.ids).toHaveLength(1);
  const seen: string[] = [];
  await work(async (given) => {
    seen.push(...given.map(({ note }) => note));
    return [];
  });
  await waitFor(async () => seen.length === 2 && (await raw.getActiveCount()) === 0, { what: 'what is left' });
  expect(seen.sort()).toEqual(['a', 'b']);
  expect(await raw.getFailedCount()).toBe(0);
});

test('what cannot be noted as given up is not given up', async () => {
  await queue().add([item('a')].map(pack), { jobId: 'job', tries: 14 });
  let notes = 0;
  await work(async () => [new CarillonError('RENDER_FAILED')], {
    giveUp: async () => {
      if (++notes < 3) throw new CarillonError('QUEUE_FULL', { retryAfter: 20 });
    },
  });
  await waitFor(async () => (await raw.getFailedCount()) === 1, { what: 'the failed job' });
  expect(notes).toBe(3);
});

test('one that was given up for killing workers may be tried again', async () => {
  const quarantine = new Queue('in_app-quarantine', { connection: redis.connection, prefix: redis.keys.queue('in_app-quarantine') });
  cleanup.push(() => quarantine.close());
  const stage = createStageQueue({ redis, vault }, definition, 'in_app-quarantine');
  cleanup.push(() => stage.queue.close());
  await stage.add([item('killer')].map(pack), { jobId: 'killer', delay: 100 });
  await redis.command('HSET', `${redis.keys.queue('in_app-quarantine')}:in_app-quarantine:killer`, 'stc', '3');
  let handled = 0;
  const givenUp = await work(async () => {
    handled++;
    return [];
  });
  await waitFor(async () => (await quarantine.getFailedCount()) === 1, { what: 'the job to be given up' });
  expect(givenUp).toEqual([expect.objectContaining({ code: 'JOB_CRASHED_WORKER' })]);
  expect(handled).toBe(0);
  await (await quarantine.getJob('killer'))?.retry('failed');
  await waitFor(() => handled === 1, { what: 'the second chance' });
});

test('the urgent go first', async () => {
  const stage = queue();
  for (const priority of ['low', 'normal', 'urgent', 'high', 'urgent'] as const)
    await stage.add([item(priority, priority)].map(pack), { jobId: randomUUID() });
  const order: string[] = [];
  await work(
    async (given) => {
      order.push(...given.map(({ note }) => note));
      return [];
    },
    { concurrency: 1 },
  );
  await waitFor(() => order.length === 5, { what: 'all' });
  expect(order).toEqual(['urgent', 'urgent', 'high', 'normal', 'low']);
});

test('a job whose worker died is split, and a single one goes to quarantine', async () => {
  const items = Array.from({ length: 12 }, (_, i) => item(String(i)));
  await queue().add(items.map(pack), { jobId: 'job' });
  // What BullMQ keeps of a job that stalled once.
  await redis.command('HSET', `${redis.keys.queue(queueName('in_app', 0))}:${queueName('in_app', 0)}:job`, 'stc', '1');
  const sizes: number[] = [];
  const seen = new Set<string>();
  await work(async (given) => {
    sizes.push(given.length);
    for (const { id } of given) seen.add(id);
    return [];
  });
  await waitFor(() => seen.size === 12, { what: 'all items' });
  expect(Math.max(...sizes)).toBe(2);

  await queue().add([item('single')].map(pack), { jobId: 'single', delay: 200 });
  await redis.command('HSET', `${redis.keys.queue(queueName('in_app', 0))}:${queueName('in_app', 0)}:single`, 'stc', '1');
  const events = `${redis.keys.queue('in_app-quarantine')}:in_app-quarantine:events`;
  const done = () => redis.command<[string, string[]][]>('XRANGE', events, '-', '+');
  await waitFor(async () => (await done()).some(([, fields]) => fields.includes('completed') && fields.includes('single~alone')), {
    what: 'the quarantined job to be done',
  });
});

test('readers cover partitions that were used before', async () => {
  const views = await openQueueViews(redis, 4);
  await views.close();
  const stage = createStageQueue({ redis, vault }, definition, queueName('in_app', 3));
  cleanup.push(() => stage.queue.close());
  await stage.add([item('left behind')].map(pack), { jobId: 'job' });
  let done = 0;
  await work(
    async () => {
      done++;
      return [];
    },
    { partitions: 1 },
  );
  await waitFor(() => done === 1, { what: 'the job of partition 3' });
});

test('closing waits for the job under way, and only so long', async () => {
  const stage = queue();
  await stage.add([item('slow')].map(pack), { jobId: 'slow' });
  let aborted = false;
  let started = false;
  const worker = await runStage({
    redis,
    vault,
    definition,
    partitions: 1,
    concurrency: 1,
    handle: (_items, { signal }) =>
      new Promise((resolve) => {
        started = true;
        signal.addEventListener('abort', () => {
          aborted = true;
          resolve([]);
        });
      }),
    giveUp: async () => {},
  });
  await waitFor(() => started, { what: 'the job to start' });
  await worker.close(50);
  expect(aborted).toBe(true);
});
