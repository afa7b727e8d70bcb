import { randomUUID } from 'node:crypto';
import type { AuditEvent } from '@carillon/audit';
import {
  type Channel,
  type ChannelModule,
  createPreviews,
  createProviderChannel,
  createReceive,
  type Provider,
  type ProviderChannelOptions,
  type Receipt,
  runChannel,
  type Sent,
  startChannel,
} from '@carillon/channel';
import { CarillonError, type ChannelItem, type ErrorCode, email as emailDefinition, push as pushDefinition } from '@carillon/contracts';
import { createDeliveries, type Deliveries } from '@carillon/deliveries';
import { createDirectory, type Directory } from '@carillon/directory';
import { channelStage, createStageQueue, openQueueViews, pack, type StageWorker } from '@carillon/queue';
import { createRedis, type Redis } from '@carillon/redis';
import { configFromOptions, noLog } from '@carillon/service';
import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import type { Vault } from '@carillon/vault';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createRate } from '../src/rate.js';

let server: TestRedis;
let redis: Redis;
let vault: Vault;
let deliveries: Deliveries;
let directory: Directory;
let prefixes = 0;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  redis = await createRedis({ url: server.url }, { prefix: `c${++prefixes}:`, temper: 'patient' });
  vault = await memoryVault();
  deliveries = createDeliveries({ redis, retention: 3_600_000 });
  directory = createDirectory({ redis, vault });
});
afterEach(async () => {
  for (let end = ends.pop(); end; end = ends.pop()) await end();
  await redis.close();
});

/** A provider that answers as it is told, and keeps what it was asked. */
function provider(name: string, answer: (ref: string, nth: number) => Sent | Promise<Sent>) {
  const calls: { ref: string; at: number }[] = [];
  const self: Provider = {
    name,
    kinds: ['email'],
    send: (messages) =>
      Promise.all(
        messages.map(async ({ ref }) => {
          calls.push({ ref, at: Date.now() });
          return answer(ref, calls.length);
        }),
      ),
  };
  return { ...self, calls, of: (id: string) => calls.filter(({ ref }) => ref === id) };
}
const ok: Sent = { ok: true, providerMessageId: 'm' };
const failing = (code: ErrorCode, retryAfter?: number): Sent => ({
  ok: false,
  error: new CarillonError(code, retryAfter === undefined ? {} : { retryAfter }),
});
const works = (name = 'works') => provider(name, () => ok);

const channelOf = (providers: Provider[], more: Partial<ProviderChannelOptions> = {}): Channel =>
  createProviderChannel({
    definition: emailDefinition,
    providers,
    sandbox: works('sandbox'),
    isLive: () => true,
    directory,
    awaitEcho: 0,
    ...more,
  });

const run = async (channel: Channel, concurrency = 10): Promise<StageWorker> => {
  const worker = await runChannel({ redis, vault, deliveries, channel, partitions: 1, concurrency });
  ends.push(() => worker.close(1000));
  return worker;
};

const itemOf = (more: Partial<ChannelItem> = {}): ChannelItem => ({
  id: randomUUID(),
  userId: 'ann',
  templateId: 't',
  priority: 'normal',
  channels: ['email'],
  createdAt: Date.now(),
  content: { subject: 's', text: 't' },
  to: { kind: 'email', value: 'ann@example.com', inline: true },
  ...more,
});

/** Queues items as a renderer does, one job each, with their records. */
async function queue(...items: ChannelItem[]): Promise<void> {
  const stage = createStageQueue<ChannelItem>({ redis, vault }, channelStage(emailDefinition), 'email-0');
  await deliveries.create(
    items.map(({ id, userId, createdAt }) => ({ id, userId, templateId: 't', templateVersion: 'v', channels: ['email'], createdAt })),
  );
  await Promise.all(items.map((item) => stage.add([pack(item)], { jobId: item.id })));
  await stage.queue.close();
}
const deliveryOf = async (id: string) => (await deliveries.get(id)).deliveries[0];
const until = (look: () => boolean | Promise<boolean>, { timeout = 10_000 } = {}) => waitFor(look, { timeout, what: String(look) });
const reaches = (id: string, status: string) => until(async () => (await deliveryOf(id))?.status === status, { timeout: 20_000 });

test('unavailable, unavailable, then sent: on the third try', async () => {
  const flaky = provider('p', (_ref, nth) => (nth <= 2 ? failing('PROVIDER_UNAVAILABLE') : ok));
  await run(channelOf([flaky]));
  const item = itemOf();
  await queue(item);
  await reaches(item.id, 'sent');
  expect(await deliveryOf(item.id)).toMatchObject({ attempts: 3, provider: 'p', providerMessageId: 'm', resent: false });
  expect(flaky.calls).toHaveLength(3);
});

test('a provider that asks for a pause is not called before', async () => {
  const limited = provider('p', (_ref, nth) => (nth === 1 ? failing('PROVIDER_LIMITED', 1500) : ok));
  await run(channelOf([limited]));
  const item = itemOf();
  await queue(item);
  await reaches(item.id, 'sent');
  expect((limited.calls[1]?.at as number) - (limited.calls[0]?.at as number)).toBeGreaterThanOrEqual(1500);
});

test('what a provider refuses is called once and is a dead letter with its code', async () => {
  const refuses = provider('p', () => failing('PROVIDER_REFUSED'));
  const second = works('q');
  await run(channelOf([refuses, second]));
  const item = itemOf();
  await queue(item);
  await reaches(item.id, 'failed');
  expect(await deliveryOf(item.id)).toMatchObject({ reason: 'PROVIDER_REFUSED', attempts: 1 });
  expect([refuses.calls.length, second.calls.length]).toEqual([1, 0]);
  const views = await openQueueViews(redis, 1);
  ends.push(views.close);
  await until(async () => (await views.failed({ limit: 10 })).data.length === 1);
  expect((await views.failed({ limit: 10 })).data[0]).toMatchObject({ id: item.id, code: 'PROVIDER_REFUSED' });
});

test('an address that does not exist is stopped, without a dead letter', async () => {
  await directory.setProfile('ann', { email: 'ann@example.com' });
  await run(channelOf([provider('p', () => failing('ADDRESS_UNREACHABLE'))]));
  const item = itemOf();
  await queue(item);
  await reaches(item.id, 'failed');
  expect(await deliveryOf(item.id)).toMatchObject({ reason: 'ADDRESS_UNREACHABLE', provider: 'p' });
  expect(await directory.suppression('ann', 'email')).toMatchObject({ reason: 'invalid', provider: 'p' });
  const next = itemOf();
  await queue(next);
  await reaches(next.id, 'skipped');
  expect(await deliveryOf(next.id)).toMatchObject({ reason: 'suppressed' });
});

test('while the first provider is down the second carries on, and the first returns', async () => {
  let down = true;
  const first = provider('first', () => (down ? failing('PROVIDER_UNAVAILABLE') : ok));
  const second = works('second');
  await run(channelOf([first, second]));
  const items = Array.from({ length: 40 }, () => itemOf());
  await queue(...items);
  for (const { id } of items) await reaches(id, 'sent');
  expect(
    (await Promise.all(items.map(({ id }) => deliveryOf(id)))).every(
      (delivery) => delivery?.provider === 'second' && delivery.attempts === 1,
    ),
  ).toBe(true);
  expect(first.calls.length).toBeLessThan(40);
  down = false;
  await until(
    async () => {
      const probe = itemOf();
      await queue(probe);
      await reaches(probe.id, 'sent');
      return (await deliveryOf(probe.id))?.provider === 'first';
    },
    { timeout: 15_000 },
  );
});

test('an outcome that is not known is never given to another provider', async () => {
  const lost = provider('first', () => failing('PROVIDER_OUTCOME_UNKNOWN'));
  const second = works('second');
  await run(channelOf([lost, second]));
  const item = itemOf();
  await queue(item);
  await until(async () => (await deliveryOf(item.id))?.reason === 'OUTCOME_UNKNOWN');
  expect(await deliveryOf(item.id)).toMatchObject({ status: 'unknown', attempts: 1 });
  expect([lost.calls.length, second.calls.length]).toEqual([1, 0]);
});

test('with `resend` an unknown outcome is tried again, flagged', async () => {
  const lost = provider('p', (_ref, nth) => (nth === 1 ? failing('PROVIDER_OUTCOME_UNKNOWN') : ok));
  await run(channelOf([lost]));
  const item = itemOf({ onUnknown: 'resend' });
  await queue(item);
  await reaches(item.id, 'sent');
  expect(await deliveryOf(item.id)).toMatchObject({ attempts: 2, resent: true });
});

test('sent again once is enough: a second answer that is lost is left to a person', async () => {
  const lost = provider('p', () => failing('PROVIDER_OUTCOME_UNKNOWN'));
  await run(channelOf([lost]));
  const item = itemOf({ onUnknown: 'resend' });
  await queue(item);
  await until(async () => (await deliveryOf(item.id))?.reason === 'OUTCOME_UNKNOWN');
  expect(lost.calls).toHaveLength(2);
  expect(await deliveryOf(item.id)).toMatchObject({ status: 'unknown', resent: true });
});

test('an unknown outcome stays one while the provider is down, and is not sent again afterwards', async () => {
  const doubtful = itemOf();
  let down = true;
  const p = provider('p', (ref) => {
    if (ref === doubtful.id) return failing('PROVIDER_OUTCOME_UNKNOWN');
    return down ? failing('PROVIDER_UNAVAILABLE') : ok;
  });
  await run(channelOf([p], { awaitEcho: 500 }));
  await queue(doubtful);
  await reaches(doubtful.id, 'unknown');
  const others = Array.from({ length: 12 }, () => itemOf());
  await queue(...others);
  for (const { id } of others) await reaches(id, 'held');
  // It has come back while nobody could be called.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(await deliveryOf(doubtful.id)).toMatchObject({ status: 'unknown' });
  down = false;
  await until(async () => (await deliveryOf(doubtful.id))?.reason === 'OUTCOME_UNKNOWN', { timeout: 20_000 });
  expect(p.of(doubtful.id)).toHaveLength(1);
});

test('what waits for its turn is not claimed, and can be canceled', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = provider('p', () => gate.then(() => ok));
  await run(channelOf([slow], { calls: 2 }), 10);
  const items = Array.from({ length: 8 }, () => itemOf());
  await queue(...items);
  await until(() => slow.calls.length === 2);
  const statuses = async () => (await Promise.all(items.map(({ id }) => deliveryOf(id)))).map((delivery) => delivery?.status);
  expect((await statuses()).filter((status) => status === 'sending')).toHaveLength(2);
  const answers = await Promise.all(items.map(async ({ id }) => (await deliveries.cancel(id))[0]?.canceled));
  expect(answers.filter(Boolean)).toHaveLength(6);
  release();
  await until(async () => (await statuses()).every((status) => status === 'sent' || status === 'canceled'));
  expect(slow.calls).toHaveLength(2);
});

test('an address that cannot be taken out of use for now troubles nobody else of its batch', async () => {
  const items = ['d1', 'd2', 'd3'].map((id) =>
    itemOf({ id: randomUUID(), userId: id, to: { kind: 'fcm', id, value: `{"token":"${id}"}` } }),
  );
  const [, dead] = items;
  const push = provider('fcm', (ref) => (ref.startsWith(dead?.id as string) ? failing('ADDRESS_UNREACHABLE') : ok));
  const away = {
    ...directory,
    standing: async () => items.map(() => ({ ok: true as const, value: undefined })),
    pruneDevice: () => Promise.reject(new CarillonError('REDIS_UNAVAILABLE')),
  };
  const channel = createProviderChannel({
    definition: pushDefinition,
    providers: [{ ...push, kinds: ['fcm'] }],
    sandbox: works('sandbox'),
    isLive: () => true,
    directory: away,
    awaitEcho: 0,
  });
  const results = await channel.deliver(items, { number: 1, fresh: true, redriven: false, signal: new AbortController().signal });
  expect(results.map((result) => (result.ok ? result.status : result.error.code))).toEqual(['sent', 'REDIS_UNAVAILABLE', 'sent']);
});

test('an unknown outcome waits for the provider’s own word, which settles it', async () => {
  const lost = provider('p', () => failing('PROVIDER_OUTCOME_UNKNOWN'));
  await run(channelOf([lost], { awaitEcho: 60_000 }));
  const item = itemOf({ onUnknown: 'resend' });
  await queue(item);
  await reaches(item.id, 'unknown');
  const receive = createReceive({ deliveries, directory, vault });
  await receive('email', 'p', [{ eventId: 'e', ref: item.id, status: 'sent', at: Date.now() }]);
  expect(await deliveryOf(item.id)).toMatchObject({ status: 'sent', resent: false });
  expect(lost.calls).toHaveLength(1);
});

test('an abandoned claim is an unknown outcome: nothing is sent twice, and with `hold` it is left to a person', async () => {
  const p = works('p');
  const item = itemOf();
  await deliveries.create([
    { id: item.id, userId: 'ann', templateId: 't', templateVersion: 'v', channels: ['email'], createdAt: Date.now() },
  ]);
  await deliveries.begin([{ id: item.id, channel: 'email', attempts: 1, lease: 10, by: 'other', open: 'refuse' }]);
  await run(channelOf([p]));
  const stage = createStageQueue<ChannelItem>({ redis, vault }, channelStage(emailDefinition), 'email-0');
  ends.push(() => stage.queue.close());
  await stage.add([pack(item)], { jobId: item.id });
  await until(async () => (await deliveryOf(item.id))?.reason === 'OUTCOME_UNKNOWN', { timeout: 15_000 });
  expect(p.calls).toHaveLength(0);

  const views = await openQueueViews(redis, 1);
  ends.push(views.close);
  await until(async () => (await views.failed({ limit: 10 })).data.length === 1);
  await views.redrive({ ids: [item.id] });
  await reaches(item.id, 'sent');
  expect(await deliveryOf(item.id)).toMatchObject({ resent: true });
  expect(p.calls).toHaveLength(1);
});

test('while every provider is down deliveries are held and spend no try; all are sent afterwards', async () => {
  let down = true;
  const make = (name: string) => provider(name, () => (down ? failing('PROVIDER_UNAVAILABLE') : ok));
  const [first, second] = [make('first'), make('second')];
  await run(channelOf([first, second]), 5);
  const items = Array.from({ length: 60 }, () => itemOf());
  await queue(...items);
  const all = () => Promise.all(items.map(({ id }) => deliveryOf(id)));
  await until(async () => (await all()).every((delivery) => delivery?.status === 'held'), { timeout: 20_000 });
  const tries = (await all()).map((delivery) => delivery?.attempts ?? 0);
  expect((await all()).every((delivery) => delivery?.reason === 'provider_down')).toBe(true);
  expect(tries.filter((count) => count === 0).length).toBeGreaterThan(30);
  expect(first.calls.length).toBeLessThan(30);
  down = false;
  await until(async () => (await all()).every((delivery) => delivery?.status === 'sent'), { timeout: 25_000 });
  for (const { id } of items) expect(first.of(id).length + second.of(id).length).toBeLessThanOrEqual(12);
});

test('a provider that refuses our credentials is left alone, and what waits for it is held', async () => {
  const refused = provider('p', () => failing('PROVIDER_MISCONFIGURED'));
  const paused: string[] = [];
  await run(channelOf([refused], { events: { providerPaused: (name) => paused.push(name) } }));
  const items = Array.from({ length: 10 }, () => itemOf());
  await queue(...items);
  for (const { id } of items) await reaches(id, 'held');
  expect(refused.calls.length).toBeLessThanOrEqual(10);
  expect(paused).toContain('p');
  expect(await deliveryOf(items[0]?.id as string)).toMatchObject({ reason: 'provider_down', attempts: 0 });
});

test('one rate for all workers of a channel', async () => {
  const p = provider('p', () => ok);
  const module: ChannelModule = {
    definition: emailDefinition,
    concurrency: 20,
    providers: () => [p],
    rate: () => 20 / 1000,
  };
  const config = configFromOptions({});
  for (let i = 0; i < 2; i++) {
    const worker = await startChannel(module, { config, redis, vault, deliveries, directory, log: noLog, previewWithoutProvider: false });
    ends.push(() => worker.close(1000));
  }
  const items = Array.from({ length: 40 }, () => itemOf());
  await queue(...items);
  await until(() => p.calls.length === 40, { timeout: 25_000 });
  const at = p.calls.map((call) => call.at).sort((a, b) => a - b);
  // Forty calls at 20/s take 1.95 s from first to last; timers of the machine may be a few ms early.
  expect((at.at(-1) as number) - (at[0] as number)).toBeGreaterThanOrEqual(1900);
  expect((await Promise.all(items.map(({ id }) => deliveryOf(id)))).every((delivery) => (delivery?.attempts ?? 0) <= 1)).toBe(true);
});

test('a backlog behind a rate comes back one after the other, and not all the time', async () => {
  const rate = createRate(redis, 'email', 20 / 1000);
  const { signal } = new AbortController();
  const waits: number[] = [];
  await Promise.all(
    Array.from({ length: 200 }, () => rate.take(1, signal).catch((error: CarillonError) => waits.push(error.retryAfter as number))),
  );
  // Twenty wait here for their turn, up to a second; the others are sent away, 50 ms apart, until well behind each other.
  expect(waits.length).toBeGreaterThan(100);
  expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(5000);
}, 60_000);

test('when the time is over a provider may still tell what it knows, and is not waited for beyond that', async () => {
  const telling: Provider = {
    name: 'telling',
    kinds: ['email'],
    send: (messages, signal) =>
      new Promise((resolve) => {
        const tell = () => resolve(messages.map((_, i) => (i === 1 ? failing('PROVIDER_OUTCOME_UNKNOWN') : ok)));
        signal.addEventListener('abort', () => setTimeout(tell, 50));
      }),
  };
  const silent: Provider = { name: 'silent', kinds: ['email'], send: () => new Promise(() => undefined) };
  const statusesBy = async (by: Provider) => {
    const results = await channelOf([by]).deliver([itemOf(), itemOf(), itemOf()], {
      number: 1,
      fresh: true,
      redriven: false,
      signal: AbortSignal.timeout(100),
    });
    return results.map((result) => (result.ok ? result.status : result.error.code));
  };
  expect(await statusesBy(telling)).toEqual(['sent', 'PROVIDER_OUTCOME_UNKNOWN', 'sent']);
  expect(await statusesBy(silent)).toEqual(new Array(3).fill('PROVIDER_OUTCOME_UNKNOWN'));
});

test('cancelled before it is sent: nothing goes out', async () => {
  const p = works();
  const item = itemOf();
  await queue(item);
  expect(await deliveries.cancel(item.id)).toMatchObject([{ canceled: true }]);
  await run(channelOf([p]));
  const views = await openQueueViews(redis, 1);
  ends.push(views.close);
  await until(() => views.idle(['email']));
  expect(p.calls).toHaveLength(0);
  expect((await deliveryOf(item.id))?.status).toBe('canceled');
});

test('cancelled while it is being sent, or after: the answer says so and stays so', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await run(channelOf([provider('p', () => gate.then(() => ok))]));
  const item = itemOf();
  await queue(item);
  await reaches(item.id, 'sending');
  expect(await deliveries.cancel(item.id)).toMatchObject([{ canceled: false }]);
  release();
  await reaches(item.id, 'sent');
  expect(await deliveries.cancel(item.id)).toMatchObject([{ canceled: false }]);
});

test('what may not really be sent is kept for preview, sealed', async () => {
  const p = works('p');
  const module: ChannelModule = { definition: emailDefinition, concurrency: 5, providers: () => [p] };
  const config = configFromOptions({ delivery: 'allowlist', deliveryAllow: '*@clinic.example,bob@example.com' });
  const worker = await startChannel(module, { config, redis, vault, deliveries, directory, log: noLog, previewWithoutProvider: false });
  ends.push(() => worker.close(1000));
  const to = (value: string) => itemOf({ to: { kind: 'email', value, inline: true }, content: { subject: 'canary-subject', text: 'x' } });
  const [live, sandboxed] = [to('Ada@Clinic.example'), to('eve@clinic.example.org')];
  await queue(live, sandboxed);
  await reaches(live.id, 'sent');
  await reaches(sandboxed.id, 'sent');
  expect((await deliveryOf(live.id))?.provider).toBe('p');
  expect((await deliveryOf(sandboxed.id))?.provider).toBe('sandbox');
  const previews = createPreviews({ redis, vault });
  const [kept, ...none] = await previews.list(10);
  expect(none).toEqual([]);
  expect(kept).toMatchObject({ channel: 'email', to: 'eve@clinic.example.org', content: { subject: 'canary-subject' } });
  expect(await previews.get(kept?.id as string)).toEqual(kept);
  const stored = await redis.command<string[]>('HVALS', redis.keys.previews[0]);
  expect(stored.join()).not.toMatch(/canary|clinic/);
});

test('a channel without a provider does not start, unless previews stand in', async () => {
  const module: ChannelModule = { definition: emailDefinition, concurrency: 5, providers: () => [], settings: 'SOME_SETTING' };
  const parts = { config: configFromOptions({}), redis, vault, deliveries, directory };
  await expect(startChannel(module, { ...parts, log: noLog, previewWithoutProvider: false })).rejects.toMatchObject({
    code: 'CONFIGURATION_INVALID',
    message: expect.stringContaining('SOME_SETTING'),
  });
  const worker = await startChannel(module, { ...parts, log: noLog, previewWithoutProvider: true });
  ends.push(() => worker.close(1000));
  const item = itemOf();
  await queue(item);
  await reaches(item.id, 'sent');
  expect((await deliveryOf(item.id))?.provider).toBe('preview');
});

test('receipts: stops, wishes and statuses, each once', async () => {
  await directory.setProfile('ann', { email: 'ann@example.com' });
  const id = randomUUID();
  await deliveries.create([
    {
      id,
      userId: 'ann',
      templateId: 't',
      templateVersion: 'v',
      channels: ['email'],
      category: (await vault.person('ann', 'make')).seal('record', id, 'news'),
      createdAt: 1,
    },
  ]);
  await deliveries.settle([{ id, channel: 'email', status: 'sent', attempts: 1 }]);
  const heard: string[] = [];
  const receive = createReceive({ deliveries, directory, vault, events: { receiptHeard: (_channel, what) => heard.push(what) } });
  const receipt = (eventId: string, more: Partial<Receipt>): Receipt => ({ eventId, ref: id, at: 1, ...more });
  await receive('email', 'sendgrid', [
    receipt('1', { status: 'delivered' }),
    receipt('2', { status: 'bounced', suppress: 'bounced', address: 'Ann@example.com' }),
    receipt('3', { unsubscribed: true }),
    receipt('4', { suppress: 'complaint', address: 'ann@example.com' }),
  ]);
  expect((await deliveryOf(id))?.status).toBe('bounced');
  expect(heard).toEqual(['delivered', 'bounced', 'unsubscribed', 'complained']);
  expect(await directory.suppression('ann', 'email')).toMatchObject({ reason: 'bounced' });
  expect(await directory.preferences('ann')).toEqual({ categories: { news: { email: false } } });
  // Lifted by a person; the same report once more does not undo that.
  await directory.liftSuppression('ann', 'email');
  await receive('email', 'sendgrid', [receipt('2', { status: 'bounced', suppress: 'bounced', address: 'ann@example.com' })]);
  await expect(directory.suppression('ann', 'email')).rejects.toMatchObject({ code: 'SUPPRESSION_NOT_FOUND' });
  await receive('email', 'sendgrid', [
    { eventId: '9', ref: 'nonsense', status: 'bounced', at: 1 },
    { eventId: '10', at: 1 },
  ]);
  expect(heard).toHaveLength(4);
});

test('one mailbox that takes nothing for now stops nobody else, however often it is tried', async () => {
  const full = itemOf();
  const limited: Sent = { ok: false, error: new CarillonError('PROVIDER_LIMITED', { field: 'to', retryAfter: 60_000 }) };
  const p = provider('p', (ref) => (ref === full.id ? limited : ok));
  const channel = channelOf([p]);
  const attempt = { number: 1, fresh: true, redriven: false, signal: new AbortController().signal };
  for (let i = 0; i < 10; i++) {
    expect(await channel.deliver([full], attempt)).toMatchObject([{ ok: false, error: { code: 'PROVIDER_LIMITED', retryAfter: 60_000 } }]);
    expect(await channel.deliver([itemOf()], attempt)).toMatchObject([{ ok: true, status: 'sent' }]);
  }
  expect(p.calls).toHaveLength(20);
});

test('why an address is stopped is the provider’s to say, and `invalid` unless told', async () => {
  const gone = (suppress?: 'unsubscribed'): Sent => ({
    ok: false,
    error: new CarillonError('ADDRESS_UNREACHABLE'),
    ...(suppress && { suppress }),
  });
  const attempt = { number: 1, fresh: true, redriven: false, signal: new AbortController().signal };
  for (const [userId, suppress, reason] of [
    ['ann', undefined, 'invalid'],
    ['bob', 'unsubscribed', 'unsubscribed'],
  ] as const) {
    const value = `${userId}@example.com`;
    await directory.setProfile(userId, { email: value });
    const [result] = await channelOf([provider('p', () => gone(suppress))]).deliver(
      [itemOf({ userId, to: { kind: 'email', value } })],
      attempt,
    );
    expect(result).toEqual({ ok: true, status: 'failed', reason: 'ADDRESS_UNREACHABLE', provider: 'p' });
    expect(await directory.suppression(userId, 'email')).toMatchObject({ reason });
  }
});

test('word of an unknown outcome is waited for only where it can come', async () => {
  const lost = provider('p', () => failing('PROVIDER_OUTCOME_UNKNOWN'));
  const receiver = { channel: 'email', read: () => [] } as const;
  const module: ChannelModule = {
    definition: emailDefinition,
    concurrency: 5,
    providers: () => [lost],
    receivers: () => ({ p: receiver }),
  };
  const parts = { config: configFromOptions({}), redis, vault, deliveries, directory, log: noLog, previewWithoutProvider: false };
  const silent = await startChannel(module, parts);
  const item = itemOf();
  await queue(item);
  await until(async () => (await deliveryOf(item.id))?.reason === 'OUTCOME_UNKNOWN');
  await silent.close(1000);

  const telling = await startChannel({ ...module, echoes: () => true }, parts);
  ends.push(() => telling.close(1000));
  const other = itemOf();
  await queue(other);
  await reaches(other.id, 'unknown');
  expect(await deliveryOf(other.id)).toMatchObject({ reason: 'PROVIDER_OUTCOME_UNKNOWN' });
});

test('what was opened is closed if the start fails, and all of it even if one does not close', async () => {
  const closed: string[] = [];
  const closing = (name: string, fails = false): Provider => ({
    ...works(name),
    async close() {
      closed.push(name);
      if (fails) throw new Error('does not close');
    },
  });
  const module: ChannelModule = {
    definition: emailDefinition,
    concurrency: 5,
    providers: () => [closing('first', true), closing('second')],
  };
  const parts = { config: configFromOptions({}), redis, vault, deliveries, directory, log: noLog, previewWithoutProvider: false };
  const worker = await startChannel(module, parts);
  await expect(worker.close(1000)).rejects.toThrow('does not close');
  expect(closed.splice(0)).toEqual(['first', 'second']);

  const broken = {
    ...redis,
    get connection(): never {
      throw new CarillonError('REDIS_UNAVAILABLE');
    },
  };
  await expect(startChannel(module, { ...parts, redis: broken })).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
  expect(closed).toEqual(['first', 'second']);
});

test('a stop, or its end, that names a delivery is heard and says nothing else of it', async () => {
  const id = randomUUID();
  await deliveries.create([{ id, userId: 'ann', templateId: 't', templateVersion: 'v', channels: ['sms'], createdAt: 1 }]);
  await deliveries.settle([{ id, channel: 'sms', status: 'sent', attempts: 1 }]);
  const heard: string[] = [];
  const receive = createReceive({ deliveries, directory, vault, events: { receiptHeard: (_channel, what) => heard.push(what) } });
  const before = await deliveries.get(id);
  const about = { ref: id, address: '+15551234567', at: 1 };
  await receive('sms', 'twilio', [{ ...about, eventId: 'stop', suppress: 'unsubscribed' }]);
  await receive('sms', 'twilio', [{ ...about, eventId: 'start', unsuppress: true }]);
  expect(await deliveries.get(id)).toEqual(before);
  expect(heard).toEqual([]);
  const marks = ['stop', 'start'].map((eventId) => ({ id, eventId, provider: 'twilio' }));
  expect(await deliveries.heard(marks)).toEqual([true, true]);
});

test('the end of a stop is known for longer than a stop lives, anything else for days', async () => {
  const receive = createReceive({ deliveries, directory, vault });
  const lives = async () => {
    const marks = await redis.command<string[]>('KEYS', `c${prefixes}:receipt:*`);
    const left = await Promise.all(marks.map((key) => redis.command<number>('PTTL', key)));
    return left.map((ms) => Math.ceil(ms / 86_400_000)).toSorted((a, b) => a - b);
  };
  await receive('sms', 'twilio', [
    { eventId: 'stop', address: '+15551234567', suppress: 'unsubscribed', at: 1 },
    { eventId: 'start', address: '+15551234567', unsuppress: true, at: 2 },
  ]);
  expect(await lives()).toEqual([3, 400]);
});

test('the audit hears what became of deliveries and which reports were taken, each once', async () => {
  const heard: AuditEvent[] = [];
  const audit = { note: (event: AuditEvent) => heard.push(event), keep: async () => undefined };
  const [good, bad] = [itemOf(), itemOf()];
  const p = provider('p', (ref, nth) => (ref === bad.id ? failing('PROVIDER_REFUSED') : nth === 1 ? failing('PROVIDER_UNAVAILABLE') : ok));
  const worker = await runChannel({ redis, vault, deliveries, channel: channelOf([p]), partitions: 1, concurrency: 10, audit });
  ends.push(() => worker.close(1000));
  await queue(good, bad);
  await Promise.all([reaches(good.id, 'sent'), reaches(bad.id, 'failed')]);
  const receive = createReceive({ deliveries, directory, vault, audit });
  const delivered: Receipt = { eventId: 'd', ref: good.id, status: 'delivered', at: 1 };
  await receive('email', 'sendgrid', [delivered, { eventId: 'x', ref: 'nonsense', status: 'bounced', at: 1 }]);
  await receive('email', 'sendgrid', [delivered]);
  await receive('email', 'sendgrid', [{ eventId: 's', address: 'nobody@example.com', suppress: 'complaint', at: 1 }]);
  await until(() => heard.length >= 4);
  const settled = (ids: string[], status: string) => ({
    actor: { type: 'system', name: 'email' },
    action: 'delivery.settled',
    ids,
    about: { channel: 'email', status },
  });
  const taken = (status: string) => ({
    actor: { type: 'system', name: 'sendgrid' },
    action: 'receipt.taken',
    about: { channel: 'email', status },
  });
  expect(heard).toHaveLength(4);
  expect(heard).toEqual(
    expect.arrayContaining([
      settled([good.id], 'sent'),
      settled([bad.id], 'failed'),
      { ...taken('delivered'), ids: [good.id] },
      taken('complained'),
    ]),
  );
  expect(JSON.stringify(heard)).not.toContain('@');
});
