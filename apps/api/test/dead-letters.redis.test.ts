import { randomUUID } from 'node:crypto';
import { CarillonError, type ErrorCode, errorCatalogue } from '@carillon/contracts';
import { createStageQueue, type Item, pack, queueName, runStage } from '@carillon/queue';
import { createRedis, type Redis } from '@carillon/redis';
import { waitFor } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { failedPageSchema } from '../src/dead-letters.js';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';

const vault = await memoryVault();
const definition = { name: 'email', itemsPerJob: () => 1, item: z.custom<Item>() };
let running: RunningApi;
let redis: Redis;
beforeAll(async () => {
  running = await startApi();
  redis = await createRedis({ url: running.redisUrl }, { prefix: 'notification:', temper: 'patient' });
});
afterAll(async () => {
  await redis.close();
  await running.close();
});
beforeEach(async () => {
  for (const queue of running.views.queues) await queue.obliterate({ force: true });
});

const get = (query = '') => running.api.inject({ method: 'GET', url: `/v1/failed${query}`, headers: AUTHORIZED });
const retry = (payload: unknown, headers: Record<string, string> = {}) =>
  running.api.inject({
    method: 'POST',
    url: '/v1/failed/retry',
    headers: { ...AUTHORIZED, 'content-type': 'application/json', ...headers },
    ...(payload !== undefined && { payload: JSON.stringify(payload) }),
  });

/** Runs an email worker that answers each item by `judge`, until `done`. */
async function workUntil(judge: (attempt: number) => CarillonError | undefined, done: () => Promise<boolean>): Promise<string[]> {
  const seen: string[] = [];
  const worker = await runStage<Item>({
    redis,
    vault,
    definition,
    partitions: 1,
    concurrency: 2,
    handle: async (items, { number }) => {
      seen.push(...items.map(({ id }) => id));
      return items.map(() => judge(number));
    },
    giveUp: async () => {},
  });
  await waitFor(done, { what: 'the queue to be worked off' });
  await worker.close(1000);
  return seen;
}
const inState = async (state: string) =>
  (await running.views.counts()).filter((count) => count.state === state).reduce((sum, { length }) => sum + length, 0);

/** Has mails fail for good. */
async function fail(code: ErrorCode, count: number): Promise<string[]> {
  const stage = createStageQueue<Item>({ redis, vault }, definition, queueName('email', 0));
  const ids = Array.from({ length: count }, () => randomUUID());
  for (const id of ids) await stage.add([pack({ id, userId: 'canary-user', priority: 'normal' })], { jobId: id });
  await stage.queue.close();
  const before = await inState('failed');
  await workUntil(
    () => new CarillonError(code, { cause: new Error('canary') }),
    async () => (await inState('failed')) === before + count,
  );
  return ids;
}

test('dead letters are listed with their reason, page by page, and tell of nobody', async () => {
  const ids = [...(await fail('PROVIDER_REFUSED', 2)), ...(await fail('CONTENT_TOO_LARGE', 1))];
  const first = await get('?limit=2');
  expect(first.statusCode).toBe(200);
  const page = failedPageSchema.strict().parse(first.json());
  expect(page.data[0]).toEqual({
    id: ids[2],
    channel: 'email',
    code: 'CONTENT_TOO_LARGE',
    reason: errorCatalogue.CONTENT_TOO_LARGE[1],
    attempts: 1,
    failedAt: expect.any(Number),
    jobId: ids[2],
  });
  const rest = failedPageSchema.parse((await get(`?limit=2&cursor=${page.nextCursor}`)).json());
  expect([...page.data, ...rest.data].map(({ id }) => id).sort()).toEqual(ids.sort());
  expect(rest.nextCursor).toBeNull();
  expect((await get('?code=PROVIDER_REFUSED&channel=email')).json().data).toHaveLength(2);
  expect((await get('?channel=render')).json()).toEqual({ data: [], nextCursor: null });
  expect(first.body).not.toContain('canary');
});

test('what is tried again is tried exactly once, however often it is asked for', async () => {
  const ids = await fail('PROVIDER_REFUSED', 10);
  const answers = await Promise.all([retry({ ids }), retry({}), retry({ channel: 'email' }), retry({ code: 'PROVIDER_REFUSED' })]);
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200]);
  expect(answers.reduce((sum, answer) => sum + answer.json().retried, 0)).toBe(10);
  const seen = await workUntil(
    () => undefined,
    async () => (await inState('prioritized')) + (await inState('active')) === 0,
  );
  expect(seen.sort()).toEqual(ids.sort());
  expect((await retry({})).json()).toEqual({ retried: 0, nextCursor: null });
});

test.each([
  ['?limit=0', 'limit'],
  ['?channel=pigeon', 'channel'],
  ['?code=NOTHING', 'code'],
  ['?cursor=x', 'cursor'],
])('GET %s is refused by its field', async (query, field) => {
  const answer = await get(query);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', field });
});

test.each([
  [{ ids: [] }, 'ids'],
  [{ ids: ['x'] }, 'ids.0'],
  [{ channel: 'pigeon' }, 'channel'],
  [{ code: 'x' }, 'code'],
  [{ all: true }, 'all'],
  [{ cursor: 'x' }, 'cursor'],
  [undefined, undefined],
])('trying again %j is refused by its field', async (payload, field) => {
  await fail('PROVIDER_REFUSED', 1);
  const answer = await retry(payload);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', ...(field && { field }) });
  expect(await inState('failed')).toBe(1);
});

test('Bull Board’s own retry gives a job all its tries back: one, and all of a queue', async () => {
  const [first] = await fail('PROVIDER_REFUSED', 3);
  const board = (path: string) =>
    running.api.inject({ method: 'PUT', url: `/admin/queues/api/queues/email-0/${path}`, headers: AUTHORIZED });
  expect((await board(`${first}/retry`)).statusCode).toBeLessThan(300);
  expect(await inState('failed')).toBe(2);
  const attempts: number[] = [];
  await workUntil(
    (attempt) => {
      attempts.push(attempt);
      return attempt < 3 ? new CarillonError('PROVIDER_UNAVAILABLE') : undefined;
    },
    async () => attempts.includes(3),
  );
  expect(attempts).toEqual([1, 2, 3]);

  const all = await board('retry/failed');
  expect(all.statusCode).toBe(200);
  expect(all.json()).toMatchObject({ retried: 2 });
  expect(await inState('failed')).toBe(0);
});
