import { randomUUID } from 'node:crypto';
import type { DeliveryStatus } from '@carillon/contracts';
import { createDeliveries, type Deliveries } from '@carillon/deliveries';
import { createRedis, type Redis } from '@carillon/redis';
import { startCluster } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

let cluster: Awaited<ReturnType<typeof startCluster>>;
let redis: Redis;
let deliveries: Deliveries;

beforeAll(async () => {
  cluster = await startCluster(3);
  redis = await createRedis({ url: cluster.urls.join(',') }, { prefix: 'deliveries-test:', temper: 'patient' });
  deliveries = createDeliveries({ redis, retention: 60_000 });
});
afterAll(async () => {
  await redis?.close();
  await cluster?.close();
});

const record = (more: object = {}) => ({
  id: randomUUID(),
  userId: 'u',
  templateId: 't',
  templateVersion: 'v',
  channels: ['in_app', 'email'] as const,
  createdAt: 1_700_000_000_000,
  ...more,
});
const statusAfter = async (...steps: DeliveryStatus[]) => {
  const made = record();
  await deliveries.create([made]);
  for (const [i, status] of steps.entries()) await deliveries.settle([{ id: made.id, channel: 'email', status, attempts: i + 1 }]);
  return (await deliveries.get(made.id)).deliveries.find(({ channel }) => channel === 'email')?.status;
};

test('is there as soon as it is created, pending on every channel', async () => {
  const made = record();
  expect(await deliveries.create([made])).toEqual([{ ok: true, value: 'created' }]);
  await deliveries.create([made]);
  expect(await deliveries.get(made.id)).toEqual({
    id: made.id,
    userId: 'u',
    templateId: 't',
    templateVersion: 'v',
    status: 'pending',
    createdAt: made.createdAt,
    deliveries: ['in_app', 'email'].map((channel) => ({
      channel,
      status: 'pending',
      reason: null,
      attempts: 0,
      provider: null,
      providerMessageId: null,
      times: { pending: made.createdAt },
    })),
  });
});

test('only ever moves forward', async () => {
  expect(await statusAfter('sending', 'sent', 'delivered')).toBe('delivered');
  expect(await statusAfter('delivered', 'sent')).toBe('delivered');
  expect(await statusAfter('sent', 'pending', 'held')).toBe('sent');
  expect(await statusAfter('canceled', 'failed')).toBe('canceled');
  expect(await statusAfter('failed', 'delivered')).toBe('delivered');
});

test('keeps reason, attempts, provider and the time of each step', async () => {
  const made = record();
  await deliveries.create([made]);
  await deliveries.settle([{ id: made.id, channel: 'email', status: 'sending', attempts: 1 }]);
  await deliveries.settle([
    { id: made.id, channel: 'email', status: 'failed', attempts: 3, reason: 'RENDER_FAILED', provider: 'p', providerMessageId: 'm' },
  ]);
  const { deliveries: list, status } = await deliveries.get(made.id);
  expect(list[1]).toMatchObject({ status: 'failed', attempts: 3, reason: 'RENDER_FAILED', provider: 'p', providerMessageId: 'm' });
  expect(Object.keys(list[1]?.times ?? {}).sort()).toEqual(['failed', 'pending', 'sending']);
  expect(status).toBe('pending');
});

test('many at once, over all nodes, each on its own', async () => {
  const made = Array.from({ length: 300 }, () => record());
  expect((await deliveries.create(made)).every((outcome) => outcome.ok)).toBe(true);
  await deliveries.settle(made.map(({ id }) => ({ id, channel: 'in_app', status: 'delivered', attempts: 1 })));
  await deliveries.markRead(made.slice(0, 10).map(({ id }) => id));
  expect((await deliveries.get(made[0]?.id as string)).status).toBe('read');
  expect((await deliveries.get(made[299]?.id as string)).status).toBe('delivered');
});

test('a record that is gone stays gone', async () => {
  const id = randomUUID();
  await deliveries.settle([{ id, channel: 'in_app', status: 'delivered', attempts: 1 }]);
  await deliveries.markRead([id]);
  await expect(deliveries.get(id)).rejects.toMatchObject({ code: 'NOTIFICATION_NOT_FOUND' });
});

test('a status noted before its record is written is not lost', async () => {
  const made = record();
  await deliveries.settle([{ id: made.id, channel: 'in_app', status: 'delivered', attempts: 1 }]);
  await deliveries.create([made]);
  expect((await deliveries.get(made.id)).status).toBe('delivered');
  expect(await redis.command<number>('PTTL', redis.keys.delivery(made.id))).toBeLessThanOrEqual(60_000);
});

test('records expire', async () => {
  const made = record();
  await deliveries.create([made]);
  const left = await redis.command<number>('PTTL', redis.keys.delivery(made.id));
  expect(left).toBeGreaterThan(50_000);
  expect(left).toBeLessThanOrEqual(60_000);
});

test('reading again and again does not grow a record', async () => {
  const made = record();
  await deliveries.create([made]);
  await deliveries.markRead([made.id]);
  const length = await redis.command<number>('STRLEN', redis.keys.delivery(made.id));
  for (let i = 0; i < 10; i++) await deliveries.markRead([made.id]);
  expect(await redis.command<number>('STRLEN', redis.keys.delivery(made.id))).toBe(length);
  expect((await deliveries.get(made.id)).status).toBe('read');
});

test('an idempotency key is claimed once for one request', async () => {
  const claim = { id: randomUUID(), requestHash: 'one' };
  expect(await deliveries.claim([claim])).toEqual([{ ok: true, value: 'open' }]);
  expect(await deliveries.claim([claim])).toEqual([{ ok: true, value: 'open' }]);
  await deliveries.markQueued([claim]);
  expect(await deliveries.claim([claim])).toEqual([{ ok: true, value: 'queued' }]);
  expect(await deliveries.claim([{ ...claim, requestHash: 'two' }])).toEqual([{ ok: true, value: 'mismatch' }]);
});
