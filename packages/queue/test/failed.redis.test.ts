import { randomUUID } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';
import {
  createStageQueue,
  type FailedItem,
  type Item,
  openQueueViews,
  pack,
  type QueueViews,
  queueName,
  runStage,
  type StageWorkerOptions,
} from '@carillon/queue';
import { createRedis, type Redis } from '@carillon/redis';
import { redisPlaces, waitFor } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Queue } from 'bullmq';
import { z } from 'zod';

const vault = await memoryVault();
const stageOf = (name: string) => ({ name, itemsPerJob: () => 100, item: z.custom<Item>() });
const item = (id: string = randomUUID()): Item => ({ id, userId: 'u', priority: 'normal' });
let prefixes = 0;

describe.each(Object.entries(redisPlaces))('on %s', (_name, start) => {
  let server: Awaited<ReturnType<typeof start>>;
  let redis: Redis;
  let views: QueueViews;
  const cleanup: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    redis = await createRedis({ url: server.url }, { prefix: `failed-${prefixes++}:`, temper: 'patient' });
    views = await openQueueViews(redis, 2);
  });
  afterEach(async () => {
    for (const close of cleanup.splice(0).reverse()) await close();
    await views.close();
    await redis.close();
  });

  const queueOf = (name: string) => views.queues.find((queue) => queue.name === name) as Queue;
  const add = async (stage: string, partition: number, items: Item[], more: { tries?: number; last?: boolean } = {}) => {
    const queue = createStageQueue({ redis, vault }, stageOf(stage), queueName(stage, partition));
    await queue.add(items.map(pack), { jobId: randomUUID(), ...more });
    await queue.queue.close();
  };
  const work = async (stage: string, handle: StageWorkerOptions<Item>['handle']) => {
    const definition = stageOf(stage);
    const worker = await runStage({ redis, vault, definition, partitions: 2, concurrency: 4, handle, giveUp: async () => {} });
    const close = () => worker.close(1000);
    cleanup.push(close);
    return close;
  };
  /** Has single items of a stage fail for good, one after the other. */
  const fail = async (stage: string, count: number, code: 'RENDER_FAILED' | 'PROVIDER_REFUSED', more = {}) => {
    const close = await work(stage, async (items) => items.map(() => new CarillonError(code)));
    const ids: string[] = [];
    const before = await failedJobs();
    for (let i = 0; i < count; i++) {
      const one = item();
      ids.push(one.id);
      await add(stage, i % 2, [one], more);
    }
    await waitFor(async () => (await failedJobs()) === before + count, { what: 'the jobs to fail' });
    await close();
    cleanup.splice(cleanup.indexOf(close), 1);
    return ids;
  };
  const failedJobs = async () => {
    const counts = await views.counts();
    return counts.filter(({ state }) => state === 'failed').reduce((sum, { length }) => sum + length, 0);
  };
  const all = async (query: Parameters<QueueViews['failed']>[0]) => {
    const pages: FailedItem[][] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined; ) {
      const page: { data: FailedItem[]; nextCursor?: string } = await views.failed({ ...query, ...(cursor && { cursor }) });
      pages.push(page.data);
      cursor = page.nextCursor;
    }
    return pages;
  };

  test('lists what was given up in every queue, newest first, page by page, each once', async () => {
    const ids = [...(await fail('render', 4, 'RENDER_FAILED')), ...(await fail('email', 5, 'PROVIDER_REFUSED'))];
    const pages = await all({ limit: 2 });
    expect(pages.map((page) => page.length)).toEqual([2, 2, 2, 2, 1]);
    const items = pages.flat();
    expect(items.map(({ id }) => id).sort()).toEqual(ids.sort());
    const times = items.map(({ failedAt }) => failedAt);
    expect(times).toEqual([...times].sort((a, b) => b - a));
    expect(items[0]).toEqual({
      id: expect.any(String),
      channel: 'email',
      code: 'PROVIDER_REFUSED',
      attempts: 1,
      failedAt: expect.any(Number),
      jobId: expect.any(String),
    });
    expect((await all({ limit: 100, channel: 'render' })).flat()).toHaveLength(4);
    expect((await all({ limit: 1, code: 'PROVIDER_REFUSED' })).flat().map(({ channel }) => channel)).toEqual(Array(5).fill('email'));
    expect((await all({ limit: 100, channel: 'render', code: 'PROVIDER_REFUSED' })).flat()).toEqual([]);
  });

  test('lists every notification of a job that failed as a whole, and pages may end within it', async () => {
    const items = Array.from({ length: 5 }, () => item());
    await work('push', async (given) => given.map(() => new CarillonError('INTERNAL')));
    await add('push', 0, items, { tries: 14 });
    await waitFor(async () => (await failedJobs()) === 1, { what: 'the job to fail' });
    const pages = await all({ limit: 2 });
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(pages.flat().map(({ id }) => id)).toEqual(items.map(({ id }) => id));
    expect(pages.flat()[0]).toMatchObject({ code: 'INTERNAL', attempts: 15, channel: 'push' });
  });

  test('pages hold when more fail in one millisecond than are read at once', async () => {
    const queue = queueOf('sms-0');
    const at = Date.now();
    for (let i = 0; i < 250; i++) {
      await redis.command('HSET', queue.toKey(`job-${i}`), 'data', JSON.stringify({ v: 1, ids: [`n-${i}`] }), 'failedReason', 'an old one');
      await redis.command('ZADD', queue.toKey('failed'), at, `job-${i}`);
    }
    const items = (await all({ limit: 60 })).flat();
    expect(items).toHaveLength(250);
    expect(new Set(items.map(({ id }) => id)).size).toBe(250);
    expect(items.every(({ code }) => code === 'INTERNAL')).toBe(true);
  });

  test('one call moves a thousand at most and says where to go on', async () => {
    const queue = queueOf('sms-0');
    for (let i = 0; i < 1100; i++) {
      const at = 1000 + i;
      const fields = { name: 'sms', data: JSON.stringify({ v: 1, ids: [`n-${i}`], tries: 3 }), opts: '{"attempts":1,"priority":3}' };
      const more = { priority: 3, finishedOn: at, atm: 1, failedReason: 'INTERNAL: x' };
      await redis.command('HSET', queue.toKey(`job-${i}`), ...Object.entries({ ...fields, ...more }).flat());
      await redis.command('ZADD', queue.toKey('failed'), at, `job-${i}`);
    }
    const first = await views.redrive({});
    expect(first).toEqual({ retried: 1000, nextCursor: expect.any(String) });
    expect(await views.redrive({ cursor: first.nextCursor })).toEqual({ retried: 100 });
    expect(await queue.getJobCounts('prioritized', 'failed')).toEqual({ prioritized: 1100, failed: 0 });
    expect(await queue.getJob('job-7')).toMatchObject({ attemptsMade: 0, data: { ids: ['n-7'], tries: 0 }, opts: { attempts: 15 } });
  });

  test('a job that cannot be read is listed all the same', async () => {
    const queue = queueOf('sms-0');
    await redis.command('HSET', queue.toKey('odd'), 'data', 'no JSON', 'failedReason', 'JOB_UNREADABLE: x');
    await redis.command('ZADD', queue.toKey('failed'), 5, 'odd');
    expect((await views.failed({ limit: 10 })).data).toEqual([
      { id: null, channel: 'sms', code: 'JOB_UNREADABLE', attempts: 0, failedAt: 5, jobId: 'odd' },
    ]);
  });

  test('a redrive asked for many times at once moves each exactly once', async () => {
    await fail('email', 30, 'PROVIDER_REFUSED');
    const answers = await Promise.all(Array.from({ length: 5 }, () => views.redrive({})));
    expect(answers.reduce((sum, { retried }) => sum + retried, 0)).toBe(30);
    expect(await failedJobs()).toBe(0);
    const seen: string[] = [];
    await work('email', async (items) => {
      seen.push(...items.map(({ id }) => id));
      return [];
    });
    await waitFor(() => seen.length === 30, { what: 'all to be tried again' });
    expect(new Set(seen).size).toBe(30);
    expect(await views.redrive({})).toEqual({ retried: 0 });
  });

  test('a redrive takes what fits: ids, channel, code', async () => {
    const [first, second] = await fail('email', 3, 'PROVIDER_REFUSED');
    await fail('render', 2, 'RENDER_FAILED');
    expect(await views.redrive({ ids: [first as string], channel: 'render' })).toEqual({ retried: 0 });
    expect(await views.redrive({ ids: [first as string, second as string, randomUUID()] })).toEqual({ retried: 2 });
    expect(await views.redrive({ code: 'RENDER_FAILED', channel: 'email' })).toEqual({ retried: 0 });
    expect(await views.redrive({ channel: 'render' })).toEqual({ retried: 2 });
    expect(await views.redrive({ code: 'PROVIDER_REFUSED' })).toEqual({ retried: 1 });
  });

  test('what is tried again has all its tries, also if it had only one left', async () => {
    await fail('push', 1, 'PROVIDER_REFUSED', { tries: 9, last: true });
    expect((await views.failed({ limit: 1 })).data).toMatchObject([{ attempts: 10 }]);
    expect(await views.redrive({})).toEqual({ retried: 1 });
    const attempts: number[] = [];
    await work('push', async (items, { number }) => {
      attempts.push(number);
      return items.map(() => (number < 3 ? new CarillonError('PROVIDER_LIMITED', { retryAfter: 1 }) : undefined));
    });
    await waitFor(() => attempts.length === 3, { what: 'the third try' });
    expect(attempts).toEqual([1, 2, 3]);
  });

  test('a job that has failed anew is not moved by who saw its first failure', async () => {
    await fail('sms', 1, 'PROVIDER_REFUSED');
    const queue = queueOf('sms-0');
    const [stale] = await queue.getFailed();
    await views.redrive({});
    const close = await work('sms', async (items) => items.map(() => new CarillonError('PROVIDER_REFUSED')));
    await waitFor(async () => (await queue.getFailedCount()) === 1, { what: 'the second failure' });
    await close();
    await expect(stale?.retry('failed')).rejects.toMatchObject({ code: -3 });
    expect(await queue.getFailedCount()).toBe(1);
  });

  test.each(['x', Buffer.from('[1]').toString('base64url'), Buffer.from('["a","b","c",0]').toString('base64url')])(
    '%s is no cursor',
    async (cursor) => {
      await expect(views.failed({ limit: 1, cursor })).rejects.toMatchObject({ code: 'FIELD_INVALID', field: 'cursor' });
      await expect(views.redrive({ cursor })).rejects.toMatchObject({ code: 'FIELD_INVALID', field: 'cursor' });
    },
  );
});
