import { randomUUID } from 'node:crypto';
import type { DeliveryStatus } from '@carillon/contracts';
import {
  ANYBODY,
  type Attempt,
  createDeliveries,
  type Deliveries,
  type DeliveryRef,
  type NewRecord,
  type ReceivedStep,
} from '@carillon/deliveries';
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
    category: null,
    status: 'pending',
    createdAt: made.createdAt,
    deliveries: ['in_app', 'email'].map((channel) => ({
      channel,
      address: null,
      status: 'pending',
      reason: null,
      attempts: 0,
      provider: null,
      providerMessageId: null,
      resent: false,
      at: made.createdAt,
      times: { pending: made.createdAt },
      engagement: {},
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
    {
      id: made.id,
      channel: 'email',
      status: 'failed',
      attempts: 3,
      reason: 'RENDER_FAILED',
      provider: 'p',
      providerMessageId: 'm',
      by: ANYBODY,
    },
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

const begin = async (ref: DeliveryRef, more: Partial<Attempt> = {}) => {
  const [outcome] = await deliveries.begin([{ attempts: 1, by: randomUUID(), lease: 60_000, open: 'refuse', ...ref, ...more }]);
  if (!outcome?.ok) throw outcome?.error;
  return outcome.value;
};
const made = async (more: Partial<NewRecord> = {}) => {
  const fresh = { ...record(), channels: ['in_app', 'email', 'push'] as const, ...more };
  await deliveries.create([fresh]);
  return fresh.id;
};
const email = (id: string) => ({ id, channel: 'email' as const });

test('a claim is had once: many at the same time, one goes ahead', async () => {
  const id = await made();
  const states = await Promise.all(Array.from({ length: 20 }, () => begin(email(id))));
  expect(states.filter(({ state }) => state === 'go')).toHaveLength(1);
  expect(states.filter(({ state }) => state === 'open')).toHaveLength(19);
});

test('what was settled sends nothing again; what failed, or was surely not sent, may', async () => {
  for (const status of ['sent', 'delivered', 'bounced', 'skipped', 'canceled', 'expired'] as const) {
    const id = await made();
    await begin(email(id));
    await deliveries.settle([{ ...email(id), status, attempts: 1, by: ANYBODY }]);
    expect([status, await begin(email(id))]).toEqual([status, { state: 'ended', status }]);
    expect([status, await begin(email(id), { open: 'resend' })]).toEqual([status, { state: 'ended', status }]);
  }
  for (const status of ['pending', 'held', 'failed'] as const) {
    const id = await made();
    await begin(email(id));
    await deliveries.settle([{ ...email(id), status, attempts: 1, by: ANYBODY }]);
    expect([status, await begin(email(id))]).toEqual([status, { state: 'go', resent: false }]);
  }
});

test('an open claim is told with its times, and is passed only by who sends again, flagged', async () => {
  const id = await made();
  await begin(email(id), { attempts: 2, lease: 5000, by: 'me' });
  const open = await begin(email(id), { attempts: 3 });
  expect(open).toEqual({ state: 'open', at: expect.any(Number), until: expect.any(Number), attempts: 2, noted: false, resent: false });
  if (open.state === 'open') expect(open.until - open.at).toBe(5000);
  await deliveries.settle([{ ...email(id), status: 'unknown', attempts: 2, reason: 'PROVIDER_OUTCOME_UNKNOWN', by: 'me' }]);
  expect(await begin(email(id))).toMatchObject({ state: 'open', noted: true });
  expect(await begin(email(id), { open: 'resend', attempts: 3 })).toEqual({ state: 'go', resent: true });
  await deliveries.settle([{ ...email(id), status: 'sent', attempts: 3 }]);
  expect((await deliveries.get(id)).deliveries[1]).toMatchObject({ status: 'sent', attempts: 3, resent: true });
});

test('a claim of one’s own is gone ahead with, and noted once', async () => {
  const id = await made();
  const inApp = { id, channel: 'in_app' as const };
  for (let i = 0; i < 3; i++) expect(await begin(inApp, { open: 'ours' })).toEqual({ state: 'go', resent: false });
  const record = await redis.command<string>('GET', redis.keys.delivery(id));
  expect(record.match(/in_app:sending/g)).toHaveLength(1);
  await deliveries.settle([{ ...inApp, status: 'delivered', attempts: 1 }]);
  expect(await begin(inApp, { open: 'ours' })).toEqual({ state: 'ended', status: 'delivered' });
});

test('an outcome left unknown is sent again only when a person has it tried, flagged', async () => {
  const id = await made();
  await begin(email(id));
  await deliveries.settle([{ ...email(id), status: 'unknown', attempts: 1, reason: 'OUTCOME_UNKNOWN', by: ANYBODY }]);
  expect((await deliveries.get(id)).deliveries[1]).toMatchObject({ status: 'unknown', reason: 'OUTCOME_UNKNOWN' });
  for (const open of ['refuse', 'resend'] as const) expect(await begin(email(id), { open })).toMatchObject({ state: 'open', noted: true });
  expect(await begin(email(id), { open: 'redriven' })).toEqual({ state: 'go', resent: true });
  expect(await begin(email(id), { open: 'redriven' })).toMatchObject({ state: 'open', noted: false });
});

test('a channel with several addresses has a delivery for each', async () => {
  const id = await made({ channels: ['push'] });
  const phone = { id, channel: 'push' as const, address: 'device-1' };
  const tablet = { ...phone, address: 'device-10' };
  await deliveries.settle([phone, tablet].map((ref) => ({ ...ref, status: 'pending' as const, attempts: 0 })));
  expect(await begin(phone)).toEqual({ state: 'go', resent: false });
  expect(await begin(tablet)).toEqual({ state: 'go', resent: false });
  await deliveries.settle([{ ...phone, status: 'sent', attempts: 1, provider: 'fcm' }]);
  expect((await deliveries.get(id)).deliveries).toMatchObject([
    { channel: 'push', address: 'device-1', status: 'sent', provider: 'fcm' },
    { channel: 'push', address: 'device-10', status: 'sending' },
  ]);
});

test('held is noted once, however often it is found so', async () => {
  const id = await made();
  for (let i = 0; i < 50; i++) await deliveries.settle([{ ...email(id), status: 'held', attempts: 0, reason: 'provider_down' }]);
  expect(await redis.command('STRLEN', redis.keys.delivery(id))).toBeLessThan(500);
  for (let i = 0; i < 50; i++) {
    await begin(email(id), { by: 'me' });
    expect((await deliveries.get(id)).deliveries[1]?.status).toBe('sending');
    await deliveries.settle([{ ...email(id), status: 'held', attempts: 0, reason: 'provider_down', by: 'me' }]);
    expect((await deliveries.get(id)).deliveries[1]?.status).toBe('held');
  }
  expect(await redis.command('STRLEN', redis.keys.delivery(id))).toBeLessThan(500);
  expect(Number(await redis.command('PTTL', redis.keys.delivery(id)))).toBeGreaterThan(0);
});

test('a step back is only the owner’s of a claim: others take nothing from it', async () => {
  for (const status of ['pending', 'held', 'skipped', 'failed'] as const) {
    const id = await made();
    await begin(email(id), { by: 'me' });
    const say = (by?: string) => deliveries.settle([{ ...email(id), status, attempts: 1, by }]);
    expect([status, await say(), await say('you')]).toEqual([status, [{ ok: true, value: 'refused' }], [{ ok: true, value: 'refused' }]]);
    expect((await deliveries.get(id)).deliveries[1]?.status).toBe('sending');
    expect((await deliveries.cancel(id))[1]).toMatchObject({ canceled: false });
    await deliveries.settle([{ ...email(id), status: 'unknown', attempts: 1, reason: 'PROVIDER_OUTCOME_UNKNOWN', by: 'me' }]);
    expect(await say()).toEqual([{ ok: true, value: 'refused' }]);
    expect((await deliveries.get(id)).deliveries[1]?.status).toBe('unknown');
  }
});

test('the same claim asked for again, since its answer was lost, is the same claim', async () => {
  const id = await made();
  for (let i = 0; i < 3; i++) expect(await begin(email(id), { by: 'me' })).toEqual({ state: 'go', resent: false });
  expect(await begin(email(id), { by: 'you' })).toMatchObject({ state: 'open' });
  expect((await redis.command<string>('GET', redis.keys.delivery(id))).match(/email:sending/g)).toHaveLength(1);
});

test('a doubt is not forgotten: it is not taken back, is flagged when it is sent later, and no cancellation promises anything', async () => {
  const id = await made();
  await deliveries.settle([{ ...email(id), status: 'unknown', attempts: 1, reason: 'OUTCOME_UNKNOWN' }]);
  for (const status of ['held', 'skipped', 'failed', 'pending'] as const) {
    expect(await deliveries.settle([{ ...email(id), status, attempts: 1 }])).toEqual([{ ok: true, value: 'refused' }]);
  }
  expect(await begin(email(id), { open: 'redriven', by: 'me' })).toEqual({ state: 'go', resent: true });
  expect(await begin(email(id))).toMatchObject({ state: 'open', resent: true });
  await deliveries.settle([{ ...email(id), status: 'pending', attempts: 2, reason: 'PROVIDER_UNAVAILABLE', by: 'me' }]);
  expect((await deliveries.cancel(id)).find(({ channel }) => channel === 'email')).toMatchObject({ canceled: false });
  expect(await begin(email(id))).toEqual({ state: 'ended', status: 'canceled' });
});

test('a try that is given back leaves the doubt before it, and does not lengthen the record', async () => {
  const id = await made({ channels: ['email'] });
  await begin(email(id), { by: 'dead', lease: -1 });
  await deliveries.settle([{ ...email(id), status: 'unknown', attempts: 1, reason: 'PROVIDER_OUTCOME_UNKNOWN' }]);
  for (let i = 0; i < 20; i++) {
    const by = `worker-${i}`;
    expect(await begin(email(id), { open: 'repeat', by })).toEqual({ state: 'go', resent: true });
    expect(await deliveries.settle([{ ...email(id), status: 'held', attempts: 1, reason: 'provider_down', by }])).toEqual([
      { ok: true, value: 'known' },
    ]);
  }
  expect(await begin(email(id))).toMatchObject({ state: 'open' });
  expect(await redis.command('STRLEN', redis.keys.delivery(id))).toBeLessThan(600);
});

test('a claim that is not over is not taken over by who sends again, nor called unknown by others', async () => {
  const id = await made();
  await begin(email(id), { by: 'me' });
  expect(await begin(email(id), { open: 'resend' })).toMatchObject({ state: 'open' });
  expect(await deliveries.settle([{ ...email(id), status: 'unknown', attempts: 1, reason: 'OUTCOME_UNKNOWN' }])).toEqual([
    { ok: true, value: 'refused' },
  ]);
  expect((await deliveries.get(id)).deliveries[1]?.status).toBe('sending');
});

test('addresses that are found after a cancellation are not written to', async () => {
  const id = await made({ channels: ['push'] });
  const device = (address: string) => ({ id, channel: 'push' as const, address });
  await deliveries.settle([{ ...device('d1'), status: 'pending', attempts: 0 }]);
  await begin(device('d1'), { by: 'me' });
  await deliveries.settle([{ ...device('d1'), status: 'sent', attempts: 1, by: 'me' }]);
  expect(await deliveries.cancel(id)).toMatchObject([{ address: 'd1', canceled: false }]);
  expect(await begin(device('d2'))).toEqual({ state: 'ended', status: 'canceled' });
  expect((await deliveries.get(id)).deliveries).toMatchObject([{ address: 'd1', status: 'sent' }]);
});

test('an address that was found is noted once, and never over what has come of it', async () => {
  const id = await made({ channels: ['push'] });
  const phone = { id, channel: 'push' as const, address: 'device-1' };
  const find = () => deliveries.settle([{ ...phone, status: 'pending', attempts: 0 }]);
  expect(await find()).toEqual([{ ok: true, value: 'noted' }]);
  expect(await find()).toEqual([{ ok: true, value: 'known' }]);
  await begin(phone, { by: 'me' });
  expect(await find()).toEqual([{ ok: true, value: 'refused' }]);
  expect(await deliveries.cancel(id)).toMatchObject([{ canceled: false }]);
});

test('a second wish to cancel is answered as the first', async () => {
  const id = await made({ channels: ['push'] });
  const [one, two] = ['d1', 'd2'].map((address) => ({ id, channel: 'push' as const, address }));
  await deliveries.settle([one, two].map((ref) => ({ ...(ref as DeliveryRef), status: 'pending' as const, attempts: 0 })));
  await begin(one as DeliveryRef, { by: 'me' });
  const answer = [
    { ...one, canceled: false },
    { ...two, canceled: true },
  ];
  expect(await deliveries.cancel(id)).toEqual(answer);
  await deliveries.settle([{ ...(one as DeliveryRef), status: 'sent', attempts: 1, by: 'me' }]);
  expect(await deliveries.cancel(id)).toEqual(answer);
  expect((await deliveries.get(id)).deliveries.map(({ status }) => status)).toEqual(['sent', 'canceled']);
});

test('what failed is open again once somebody tries it again', async () => {
  const id = await made({ channels: ['email'] });
  await deliveries.settle([{ ...email(id), status: 'failed', attempts: 3, reason: 'PROVIDER_REFUSED' }]);
  expect((await deliveries.get(id)).status).toBe('failed');
  await begin(email(id), { by: 'me' });
  expect((await deliveries.get(id)).deliveries[0]?.status).toBe('sending');
  await deliveries.settle([{ ...email(id), status: 'unknown', attempts: 1, reason: 'OUTCOME_UNKNOWN', by: 'me' }]);
  expect(await deliveries.get(id)).toMatchObject({ status: 'failed', deliveries: [{ status: 'unknown', reason: 'OUTCOME_UNKNOWN' }] });
});

test('the list of what is open does not grow with what is done', async () => {
  const past = Date.now() - 3_600_000;
  for (let i = 0; i < 10; i++) {
    const ids = await Promise.all(Array.from({ length: 100 }, () => made({ createdAt: past, channels: ['email'] })));
    await deliveries.settle(ids.map((id) => ({ ...email(id), status: 'sent' as const, attempts: 1 })));
  }
  await deliveries.open(60_000, 64);
  const left = await Promise.all(redis.keys.allOpenDeliveries.map((key) => redis.command<number>('ZCOUNT', key, past, past)));
  expect(left.reduce((sum, count) => sum + count, 0)).toBe(0);
});

test('cancel stops what waits and what failed, and says so of what is under way or out', async () => {
  const id = await made();
  await begin(email(id));
  await deliveries.settle([{ id, channel: 'in_app', status: 'delivered', attempts: 1 }]);
  const answer = [
    { id, channel: 'in_app', canceled: false },
    { id, channel: 'email', canceled: false },
    { id, channel: 'push', canceled: true },
  ];
  expect(await deliveries.cancel(id)).toEqual(answer);
  expect(await deliveries.cancel(id)).toEqual(answer);
  expect(await begin({ id, channel: 'push' })).toEqual({ state: 'ended', status: 'canceled' });
  // Addresses that were found only after the cancellation.
  expect(await begin({ id, channel: 'push', address: 'device-1' })).toEqual({ state: 'ended', status: 'canceled' });
  await deliveries.settle([{ ...email(id), status: 'failed', attempts: 1, by: ANYBODY }]);
  expect((await deliveries.cancel(id))[1]).toMatchObject({ canceled: true });
  expect((await deliveries.get(id)).deliveries.map(({ status }) => status)).toEqual(['delivered', 'canceled', 'canceled']);
  await expect(deliveries.cancel(randomUUID())).rejects.toMatchObject({ code: 'NOTIFICATION_NOT_FOUND' });
});

test('cancel and claim at the same time: one of them has it', async () => {
  for (let i = 0; i < 30; i++) {
    const id = await made({ channels: ['email'] });
    const [begun, [canceled]] = await Promise.all([begin(email(id)), deliveries.cancel(id)]);
    expect(canceled?.canceled).toBe(begun.state !== 'go');
  }
});

test('what a cancellation key names is found by its hash', async () => {
  const ids = [await made({ cancellationHash: 'h1' }), await made({ cancellationHash: 'h1' })];
  await made({ cancellationHash: 'h2' });
  expect((await deliveries.keyedBy('h1')).toSorted()).toEqual(ids.toSorted());
  expect(await deliveries.keyedBy('h3')).toEqual([]);
});

test('receipts move forward only, count once, and change nothing of what is not known', async () => {
  const id = await made();
  await deliveries.settle([{ ...email(id), status: 'sent', attempts: 2, provider: 'sendgrid', providerMessageId: 'm' }]);
  const receipt = (eventId: string, more: Partial<ReceivedStep>): ReceivedStep => ({
    ...email(id),
    eventId,
    at: 5,
    provider: 'sendgrid',
    ...more,
  });
  const hear = async (...steps: ReceivedStep[]) => (await deliveries.receive(steps)).map((outcome) => outcome.ok && outcome.value);
  expect(await hear(receipt('e1', { status: 'delivered' }), receipt('e1', { status: 'delivered' }))).toEqual([true, false]);
  expect(await hear(receipt('e2', { status: 'sent' }))).toEqual([true]);
  expect(await hear(receipt('e3', { engagement: 'opened', at: 7 }), receipt('e4', { engagement: 'opened', at: 9 }))).toEqual([true, false]);
  expect(await hear({ ...receipt('e5', { status: 'bounced' }), id: randomUUID() })).toEqual([false]);
  expect(await deliveries.heard([receipt('e1', {}), receipt('e9', {})])).toEqual([true, false]);
  expect((await deliveries.get(id)).deliveries[1]).toMatchObject({
    status: 'delivered',
    attempts: 2,
    provider: 'sendgrid',
    providerMessageId: 'm',
    engagement: { opened: 7 },
  });
});

test('what a provider took and then dropped counts as bounced, not as sent', async () => {
  const id = await made({ channels: ['email'] });
  await deliveries.settle([{ ...email(id), status: 'sent', attempts: 1, provider: 'sendgrid' }]);
  await deliveries.receive([{ ...email(id), eventId: 'd', at: 5, provider: 'sendgrid', status: 'failed', reason: 'PROVIDER_REFUSED' }]);
  expect(await deliveries.get(id)).toMatchObject({ status: 'failed', deliveries: [{ status: 'bounced', reason: 'PROVIDER_REFUSED' }] });
});

test('what is still open after a while is listed, the rest forgotten', async () => {
  const past = Date.now() - 3_600_000;
  const open = await made({ createdAt: past });
  const young = await made({ createdAt: Date.now() });
  const done = await made({ createdAt: past, channels: ['email'] });
  const left = await made({ createdAt: past, channels: ['email'] });
  await deliveries.settle([
    { ...email(done), status: 'sent', attempts: 1 },
    { ...email(left), status: 'unknown', attempts: 1, reason: 'OUTCOME_UNKNOWN' },
  ]);
  const found = (await deliveries.open(60_000, 10_000)).map(({ id }) => id);
  expect(found).toContain(open);
  for (const id of [young, done, left]) expect(found).not.toContain(id);
  const indexed = await Promise.all([open, young, done, left].map((id) => redis.command('ZSCORE', redis.keys.openDeliveries(id), id)));
  expect(indexed.map((score) => score !== null)).toEqual([true, true, false, false]);
});

test('a page tells of one user’s notifications, newest first, each once, whatever was created in the same millisecond', async () => {
  const userId = randomUUID();
  const createdAt = Date.now();
  const made = Array.from({ length: 7 }, (_, i) => record({ userId, createdAt: createdAt - (i < 5 ? 0 : i) }));
  await deliveries.create(made);
  await deliveries.create([record({ userId: randomUUID(), createdAt })]);
  const newest = made.toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1)).map(({ id }) => id);
  for (const limit of [1, 2, 3, 6, 7, 8]) {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await deliveries.page(userId, { limit, cursor });
      expect(page.data.length).toBeLessThanOrEqual(limit);
      if (page.nextCursor !== undefined) expect(page.data).toHaveLength(limit);
      seen.push(...page.data.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(newest);
  }
  expect(await deliveries.page(randomUUID(), { limit: 5 })).toEqual({ data: [] });
});

test('a page goes past records that are gone, and takes no cursor but its own', async () => {
  const userId = randomUUID();
  const made = [0, 1, 2, 3].map((age) => record({ userId, createdAt: Date.now() - age }));
  await deliveries.create(made);
  for (const { id } of made.slice(0, 2)) await redis.command('DEL', redis.keys.delivery(id));
  const page = await deliveries.page(userId, { limit: 1 });
  expect(page.data.map(({ id }) => id)).toEqual([made[2]?.id]);
  expect((await deliveries.page(userId, { limit: 1, cursor: page.nextCursor })).data.map(({ id }) => id)).toEqual([made[3]?.id]);
  for (const cursor of ['x', '', 'AAAA', Buffer.from('1 ../x').toString('base64url')])
    await expect(deliveries.page(userId, { limit: 1, cursor })).rejects.toMatchObject({ code: 'FIELD_INVALID', field: 'cursor' });
});
