import { CarillonError } from '@carillon/contracts';
import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { count } from './counts.js';
import { allOf, ask, createService, end, endings, greet, hello, newPrefix, openStores, startStandalone } from './system.js';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
const later = endings();

const mismatch = expect.objectContaining({ code: 'IDEMPOTENCY_MISMATCH', field: 'idempotencyKey' });

async function start() {
  const prefix = newPrefix();
  const service = createService({ redisUrl: redis.url, prefix });
  later(() => service.close());
  await service.registerTemplate(hello);
  const stores = await openStores({ redisUrl: redis.url, prefix });
  later(() => stores.close());
  return { service, stores, prefix };
}

test('the same key with the same request answers the same id and shows one notification, by the library', async () => {
  const { service, stores } = await start();
  const keyed = greet('ann', 'once', { idempotencyKey: 'order 7' });
  const id = await service.queueNotification(keyed);
  expect(await service.queueNotification(keyed)).toBe(id);
  // The order of fields is not part of a request.
  expect(await service.queueNotification({ idempotencyKey: 'order 7', data: { name: 'once' }, templateId: 'hello', userId: 'ann' })).toBe(
    id,
  );
  await service.processQueue();
  expect(await service.queueNotification(keyed)).toBe(id);
  await service.processQueue();
  expect((await service.getNotifications('ann')).map((one) => one.id)).toEqual([id]);
  expect((await stores.inbox.head('ann')).offset).toBe(1);
  expect((await stores.deliveries.get(id)).status).toBe('delivered');

  await expect(service.queueNotification(greet('ann', 'other', { idempotencyKey: 'order 7' }))).rejects.toEqual(mismatch);
  await expect(service.queueNotification(greet('bob', 'once', { idempotencyKey: 'order 7' }))).rejects.toEqual(mismatch);
  await service.processQueue();
  expect((await stores.inbox.head('ann')).offset).toBe(1);
  expect((await stores.inbox.head('bob')).offset).toBe(0);
});

test('many at once under one key are one notification', async () => {
  const { service, stores } = await start();
  const other = createService({ redisUrl: redis.url, prefix: stores.redis.keys.prefix });
  later(() => other.close());
  await service.start();
  const keys = count(20, 500);
  const ids = await Promise.all(
    Array.from({ length: keys }, async (_, key) => {
      const keyed = greet('ann', `${key}`, { idempotencyKey: `key ${key}` });
      const same = await Promise.all(Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? service : other).queueNotification(keyed)));
      expect(new Set(same).size).toBe(1);
      return same[0] as string;
    }),
  );
  await service.processQueue();
  await waitFor(() => stores.views.idle(['render', 'in_app']), { what: 'the queues to be worked off' });
  expect((await allOf(stores.inbox, 'ann')).map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  expect((await stores.inbox.head('ann')).offset).toBe(keys);
});

test('of different requests under one key at once, all that succeed are one', async () => {
  const { service, stores } = await start();
  const results = await service.queueNotifications(
    Array.from({ length: 10 }, (_, i) => greet('ann', `body ${i % 2}`, { idempotencyKey: 'contested' })),
  );
  const ids = results.flatMap((result) => (result.ok ? [result.id] : []));
  expect(new Set(ids).size).toBe(1);
  expect(ids).toHaveLength(5);
  for (const result of results) if (!result.ok) expect(result.error).toEqual(mismatch);
  await service.processQueue();
  expect(await service.getNotifications('ann')).toHaveLength(1);
  expect((await stores.inbox.head('ann')).offset).toBe(1);
});

test('the header is the key over HTTP, for one and per item in bulk', async () => {
  const { prefix, stores } = await start();
  const { process, http } = await startStandalone({ redisUrl: redis.url, prefix });
  later(() => end(process));
  const post = (name: string, key: string, more = {}) =>
    ask(`${http}/v1/notifications`, 'POST', greet('ann', name, more), { 'idempotency-key': key });
  const [first, second] = await Promise.all([post('once', 'k'), post('once', 'k')]);
  expect(first).toMatchObject({ status: 202, body: { id: expect.any(String) } });
  expect(second).toMatchObject({ status: 202, body: first?.body });
  const other = await post('other', 'k');
  expect(other).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_MISMATCH', field: 'idempotencyKey', status: 422 } });
  expect(other.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(await post('once', 'k', { idempotencyKey: 'not k' })).toMatchObject({ status: 400, body: { field: 'idempotencyKey' } });

  const bulk = await ask(`${http}/v1/notifications/bulk`, 'POST', {
    notifications: [
      greet('ann', 'once', { idempotencyKey: 'k' }),
      greet('ann', 'other', { idempotencyKey: 'k' }),
      greet('ann', 'two', { idempotencyKey: 'k2' }),
      greet('ann', 'two', { idempotencyKey: 'k2' }),
    ],
  });
  expect(bulk.status).toBe(202);
  const [one, refused, two, twice] = bulk.body.results;
  expect(one).toEqual({ ok: true, id: first?.body.id });
  expect(refused).toMatchObject({ ok: false, error: { code: 'IDEMPOTENCY_MISMATCH' } });
  expect(two).toEqual(twice);
  await waitFor(async () => (await stores.inbox.head('ann')).offset === 2, { what: 'both notifications' });
  await waitFor(() => stores.views.idle(['render', 'in_app']), { what: 'the queues to be worked off' });
  expect((await stores.inbox.head('ann')).offset).toBe(2);
});

test('a key outlives the service that used it, and is the caller’s own', async () => {
  const { service, stores } = await start();
  const keyed = greet('ann', 'once', { idempotencyKey: 'k' });
  const id = await service.queueNotification(keyed);
  await service.close();
  const next = createService({ redisUrl: redis.url, prefix: stores.redis.keys.prefix });
  later(() => next.close());
  expect(await next.queueNotification(keyed)).toBe(id);
  const byAnother = await stores.producer.as('somebody else').queueNotification(keyed);
  expect(byAnother).not.toBe(id);
  await next.processQueue();
  expect((await stores.inbox.head('ann')).offset).toBe(2);
  await expect(next.queueNotification(keyed)).resolves.toBe(id);
  await expect(stores.producer.queueNotification(greet('ann', 'x', { idempotencyKey: 'k' }))).rejects.toBeInstanceOf(CarillonError);
});
