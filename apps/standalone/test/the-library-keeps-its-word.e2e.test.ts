import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { createAuditReader } from '@carillon/audit';
import { createPreviews } from '@carillon/channel';
import { createRedis } from '@carillon/redis';
import { freePort, redisValues, startRedis, TestClient, type TestRedis, waitFor } from '@carillon/testkit';
import { createKeyRing } from '@carillon/vault';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import {
  CarillonError,
  fieldsOf,
  type KeyProvider,
  type LentServer,
  NotificationChannel,
  NotificationPriority,
  type NotificationRequest,
  NotificationService,
  type NotificationServiceOptions,
  type PiiDetector,
  phi,
  pii,
  publicly,
  WebSocketServer,
} from '../src/index.js';
import { count } from './counts.js';
import { allOf, createService, endings, greet, hello, newIdsOf, newPrefix, openStores, signIn, tokenFor } from './system.js';

/** The gateway's `ws`, as an application has its own. */
const { WebSocketServer: WsServer } = createRequire(new URL('../../gateway/package.json', import.meta.url))('ws') as {
  WebSocketServer: new (options: {
    port: number;
  }) => LentServer & {
    address(): AddressInfo;
    close(): void;
    once(event: string, listener: () => void): void;
    clients: Set<{ terminate(): void }>;
  };
};

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
const later = endings();

async function start() {
  const place = { redisUrl: redis.url, prefix: newPrefix() };
  const service = createService(place);
  later(() => service.close());
  await service.registerTemplate(hello);
  return { service, place };
}

/** What a program may hand to `registerClient`, and what it was sent. */
function socketOf() {
  // biome-ignore lint/suspicious/noExplicitAny: frames of every type
  const frames: any[] = [];
  const listeners = new Set<() => void>();
  const socket = {
    readyState: 1,
    bufferedAmount: 0,
    closed: false,
    send: (text: string) => void frames.push(JSON.parse(text)),
    on: (_event: string, listener: () => void) => listeners.add(listener),
    off: (_event: string, listener: () => void) => listeners.delete(listener),
    close: () => {
      socket.closed = true;
    },
  };
  return { socket, frames, listeners, names: () => frames.filter(({ event }) => event === 'new').map(({ data }) => data.data.name) };
}

const failure = (code: string, field?: string) => expect.objectContaining({ code, ...(field !== undefined && { field }) });

test('a WebSocketServer on a port of its own serves the protocol and ends with 3001', async () => {
  const { service } = await start();
  await service.start();
  const server = new WebSocketServer({ port: 0 }, service);
  const port = await server.ready;
  expect(port).toBeGreaterThan(0);
  const { client, answer } = await signIn(`ws://127.0.0.1:${port}`, 'ann');
  expect(answer).toMatchObject({ type: 'authenticated', data: { userId: 'ann', unreadCount: 0 } });
  expect(client.frames.map(({ type }) => type)).toEqual(['authenticated', 'unreadCount']);
  const id = await service.queueNotification(greet('ann', 'x'));
  expect(await client.next('notification')).toMatchObject({ event: 'new', data: { id } });

  await server.close();
  await expect(TestClient.connect(`ws://127.0.0.1:${port}`)).rejects.toThrow();
  // What is open stays so until the service is closed.
  expect(client.socket.readyState).toBe(client.socket.OPEN);
  await service.close();
  expect(await client.closed).toEqual({ code: 3001, reason: 'shutting down' });
});

test('a lent server of the package ws is served, its clients’ first frames included, and is left open', async () => {
  const { service } = await start();
  const lent = new WsServer({ port: 0 });
  await once(lent as never, 'listening');
  later(() => {
    for (const socket of lent.clients) socket.terminate();
    lent.close();
  });
  const server = new WebSocketServer(lent, service);
  const url = `ws://127.0.0.1:${lent.address().port}`;
  // Connected and spoken to before the service has opened anything.
  const client = await TestClient.connect(url);
  expect(await client.authenticate(await tokenFor('ann'))).toMatchObject({ type: 'authenticated' });
  expect(await server.ready).toBeUndefined();
  await service.queueNotification(greet('ann', 'x'));
  await service.processQueue();
  expect(await client.next('notification')).toMatchObject({ event: 'new', data: { data: { name: 'x' } } });
  await server.close();
  const unserved = await TestClient.connect(url);
  await service.close();
  expect((await client.closed).code).toBe(3001);
  unserved.send({ type: 'authenticate', token: await tokenFor('ann') });
  expect(unserved.frames).toEqual([]);
  await unserved.close();
});

test('a port that is taken is told by `ready`', async () => {
  const { service } = await start();
  const port = await freePort();
  const one = new WebSocketServer({ port }, service);
  later(() => one.close());
  await one.ready;
  const two = new WebSocketServer({ port }, service);
  await expect(two.ready).rejects.toEqual(failure('CONFIGURATION_INVALID'));
});

test('registerClient hears all from the moment of the call, unregisterClient nothing after it', async () => {
  const place = { redisUrl: redis.url, prefix: newPrefix() };
  const setUp = createService(place);
  later(() => setUp.close());
  await setUp.registerTemplate(hello);
  const service = createService(place);
  later(() => service.close());
  const [one, two, other] = [socketOf(), socketOf(), socketOf()];
  // In one tick, on a service that has not even connected yet.
  service.registerClient('ann', one.socket);
  service.registerClient('ann', two.socket);
  service.registerClient('bob', other.socket);
  const total = count(20, 200);
  const queued = Array.from({ length: total }, (_, i) => service.queueNotification(greet('ann', `${i}`)));
  await service.start();
  await Promise.all(queued);
  await waitFor(() => one.names().length === total && two.names().length === total, { what: 'both to hear all' });
  expect(new Set(one.names()).size).toBe(total);
  expect(one.frames.filter(({ type }) => type === 'notification').map(({ offset }) => offset)).toEqual(
    Array.from({ length: total }, (_, i) => i + 1),
  );
  expect(one.frames.at(-1)).toMatchObject({ type: 'unreadCount', data: { unreadCount: total } });

  service.unregisterClient('ann', one.socket);
  await waitFor(() => one.listeners.size === 0, { what: 'one to be let go' });
  await service.queueNotification(greet('ann', 'later'));
  await waitFor(() => two.names().includes('later'), { what: 'the other to hear' });
  expect(one.names()).not.toContain('later');
  expect([one.socket.closed, two.socket.closed]).toEqual([false, false]);

  service.unregisterClient('ann');
  await waitFor(() => two.listeners.size === 0, { what: 'the other to be let go' });
  await service.queueNotification(greet('bob', 'last'));
  await waitFor(() => other.names().length === 1, { what: 'bob to hear' });
  expect(() => service.registerClient('', one.socket)).toThrow(failure('FIELD_INVALID', 'userId'));
  expect(() => service.unregisterClient('nobody')).not.toThrow();
});

test('processQueue works off what is there and returns, again and again, without start', async () => {
  const { service, place } = await start();
  await service.processQueue();
  const stores = await openStores(place);
  later(() => stores.close());
  const total = count(300, 400);
  const results = await service.queueNotifications(Array.from({ length: total }, (_, i) => greet('ann', `${i}`)));
  expect(results.every(({ ok }) => ok)).toBe(true);
  expect((await stores.inbox.head('ann')).offset).toBe(0);
  await service.processQueue();
  expect((await stores.inbox.head('ann')).offset).toBe(total);

  // It has let go: nothing works on what comes after.
  await service.queueNotification(greet('ann', 'after'));
  const [job] = await waitFor(async () => stores.views.queues[0]?.getPrioritized(), { what: 'the job to wait' });
  expect(job?.data.ids).toHaveLength(1);
  await service.processQueue();
  expect((await stores.inbox.head('ann')).offset).toBe(total + 1);
  await Promise.all([service.queueNotification(greet('ann', 'x')).then(() => service.processQueue()), service.processQueue()]);
  expect((await stores.inbox.head('ann')).offset).toBe(total + 2);
});

test('start and close may be called twice, at once and in any order, and close ends everything', async () => {
  const { service } = await start();
  await Promise.all([service.start(), service.start()]);
  await service.start();
  await service.processQueue();
  await Promise.all([service.close(), service.close()]);
  await service.close();
  const closed = failure('SERVICE_CLOSED');
  await expect(service.queueNotification(greet('ann', 'x'))).rejects.toEqual(closed);
  await expect(service.queueNotifications([greet('ann', 'x')])).rejects.toEqual(closed);
  await expect(service.getNotifications('ann')).rejects.toEqual(closed);
  await expect(service.registerTemplate(hello)).rejects.toEqual(closed);
  await expect(service.processQueue()).rejects.toEqual(closed);

  const unused = createService({ redisUrl: redis.url });
  await unused.close();
  await expect(unused.start()).rejects.toEqual(closed);

  // Closed while it is still being opened: whoever waits for it hears so, or is served.
  const early = createService({ redisUrl: redis.url, prefix: newPrefix() });
  const outcome = early.registerTemplate(hello).then(
    () => 'served',
    (error: CarillonError) => error.code,
  );
  await early.close();
  expect(['served', 'SERVICE_CLOSED', 'REDIS_UNAVAILABLE']).toContain(await outcome);
});

test('close waits for what was being queued: it is there, or was refused', async () => {
  const { service, place } = await start();
  const stores = await openStores(place);
  later(() => stores.close());
  const queued = Array.from({ length: 200 }, (_, i) => service.queueNotification(greet('ann', `${i}`)));
  const [results] = await Promise.all([Promise.allSettled(queued), service.close()]);
  const ids = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  for (const result of results) if (result.status === 'rejected') expect(result.reason).toEqual(failure('SERVICE_CLOSED'));
  const next = createService(place);
  later(() => next.close());
  await next.processQueue();
  expect((await allOf(stores.inbox, 'ann')).map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
});

test('a service that found no Redis serves once there is one', async () => {
  const own = await startRedis();
  later(() => own.stop());
  await own.kill();
  const service = createService({ redisUrl: own.url });
  later(() => service.close());
  const away = failure('REDIS_UNAVAILABLE');
  await Promise.all([
    expect(service.start()).rejects.toEqual(away),
    expect(new WebSocketServer({ port: 0 }, service).ready).rejects.toEqual(away),
    expect(service.registerTemplate(hello)).rejects.toEqual(away),
  ]);
  await own.restart();
  await service.start();
  await service.registerTemplate(hello);
  const server = new WebSocketServer({ port: 0 }, service);
  later(() => server.close());
  const { client } = await signIn(`ws://127.0.0.1:${await server.ready}`, 'ann');
  later(() => client.close());
  await service.queueNotification(greet('ann', 'x'));
  await waitFor(() => newIdsOf(client).length === 1, { what: 'the notification' });
});

test('getNotifications pages newest first and holds what was asked for', async () => {
  const { service } = await start();
  for (let i = 0; i < 120; i++) await service.queueNotification(greet('ann', `${i}`));
  await service.processQueue();
  const names = async (...page: [number?, number?]) => (await service.getNotifications('ann', ...page)).map(({ data }) => data.name);
  const from = (first: number, size: number) => Array.from({ length: size }, (_, i) => `${first - i}`);
  expect(await names()).toEqual(from(119, 50));
  expect(await names(10)).toEqual(from(119, 10));
  expect(await names(10, 10)).toEqual(from(109, 10));
  expect(await names(1000)).toEqual(from(119, 120));
  expect(await names(50, 100)).toEqual(from(19, 20));
  expect(await names(10, 500)).toEqual([]);
  expect(await service.getNotifications('nobody')).toEqual([]);
  const full: NotificationRequest = {
    ...greet('zoe', 'x'),
    channels: [NotificationChannel.IN_APP],
    priority: NotificationPriority.HIGH,
    category: 'bills',
    threadId: 'thread 1',
    tags: ['a', 'b'],
    url: 'https://clinic.example/bills/1',
  };
  const id = await service.queueNotification(full);
  await service.processQueue();
  const { idempotencyKey: _key, ...shown } = full;
  expect(await service.getNotifications('zoe')).toEqual([
    {
      ...shown,
      id,
      title: 'Hello x',
      body: 'Your number is x.',
      status: 'delivered',
      createdAt: expect.any(Number),
      deliveredAt: expect.any(Number),
      readAt: null,
      seenAt: null,
      archivedAt: null,
      error: null,
    },
  ]);
});

test('marking as read counts, is idempotent, and rejects what is unknown', async () => {
  const { service, place } = await start();
  const stores = await openStores(place);
  later(() => stores.close());
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.push(await service.queueNotification(greet('ann', `${i}`)));
  const [first = ''] = ids;
  // Not delivered yet, so not in the inbox.
  await expect(service.markAsRead('ann', first)).rejects.toEqual(failure('NOTIFICATION_NOT_FOUND'));
  await service.processQueue();
  await service.markAsRead('ann', first);
  await service.markAsRead('ann', first);
  expect(await service.getUnreadCount('ann')).toBe(4);
  expect((await stores.deliveries.get(first)).status).toBe('read');
  await expect(service.markAsRead('bob', first)).rejects.toEqual(failure('NOTIFICATION_NOT_FOUND', 'notificationId'));
  await expect(service.markAsRead('ann', '01890000-0000-7000-8000-000000000000')).rejects.toEqual(failure('NOTIFICATION_NOT_FOUND'));
  await expect(service.markAsRead('ann', 'nonsense')).rejects.toEqual(failure('NOTIFICATION_NOT_FOUND', 'notificationId'));
  await service.markAllAsRead('ann');
  await service.markAllAsRead('ann');
  await service.markAllAsRead('nobody');
  expect(await service.getUnreadCount('ann')).toBe(0);
  expect((await service.getNotifications('ann')).map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => 'read'));
  for (const id of ids) expect((await stores.deliveries.get(id)).status).toBe('read');
  expect((await stores.inbox.head('ann')).offset).toBe(7);
});

test('a bad one in the middle of a list fails alone, in its place', async () => {
  const { service } = await start();
  const results = await service.queueNotifications([
    greet('ann', 'one'),
    greet('ann', 'two', { priority: 'extreme' as never }),
    { ...greet('ann', 'three'), data: {} },
    null as never,
    greet('ann', 'five'),
  ]);
  expect(results).toEqual([
    { ok: true, id: expect.any(String) },
    { ok: false, error: failure('FIELD_INVALID', 'priority') },
    { ok: false, error: failure('TEMPLATE_DATA_MISSING', 'data.name') },
    { ok: false, error: failure('FIELD_INVALID') },
    { ok: true, id: expect.any(String) },
  ]);
  for (const result of results) if (!result.ok) expect(result.error).toBeInstanceOf(CarillonError);
  expect(await service.queueNotifications([])).toEqual([]);
  await service.processQueue();
  expect((await service.getNotifications('ann')).map(({ data }) => data.name).toSorted()).toEqual(['five', 'one']);
});

test('registering the same content is the same version and changes nothing; a queued one keeps the version it was checked against', async () => {
  const { service } = await start();
  const first = await service.registerTemplate({ ...hello, id: 'v', title: 'One {{name}}' });
  expect(first).toEqual({ id: 'v', version: expect.any(String), changed: true });
  expect(await service.registerTemplate({ ...hello, id: 'v', title: 'One {{name}}' })).toEqual({ ...first, changed: false });
  await service.queueNotification({ ...greet('ann', 'x'), templateId: 'v' });
  const second = await service.registerTemplate({ ...hello, id: 'v', title: 'Two {{name}} {{more}}' });
  expect(second).toMatchObject({ changed: true });
  expect(second.version).not.toBe(first.version);
  await expect(service.queueNotification({ ...greet('ann', 'x'), templateId: 'v' })).rejects.toEqual(
    failure('TEMPLATE_DATA_MISSING', 'data.more'),
  );
  await service.processQueue();
  expect((await service.getNotifications('ann')).map(({ title }) => title)).toEqual(['One x']);
});

test('wrong options are told all together, by name and without their values', () => {
  const make = () => new NotificationService({ redisUrl: 'http://secret', partitions: 0, nonsense: 1 } as never);
  expect(make).toThrow(failure('CONFIGURATION_INVALID'));
  try {
    make();
  } catch (error) {
    const { message } = error as Error;
    for (const name of ['redisUrl', 'partitions', 'nonsense']) expect(message).toContain(name);
    expect(message).not.toContain('secret');
  }
});

test('the very first registration of a service hears what is changed right after it', async () => {
  const { service, place } = await start();
  const id = await service.queueNotification(greet('early', 'x'));
  await service.processQueue();
  for (let round = 0; round < 5; round++) {
    const fresh = createService(place);
    later(() => fresh.close());
    const { socket, frames } = socketOf();
    fresh.registerClient('early', socket);
    await (round === 0 ? fresh.markAsRead('early', id) : fresh.queueNotification(greet('early', `${round}`)));
    if (round > 0) await fresh.processQueue();
    await waitFor(() => frames.some(({ event }) => event === (round === 0 ? 'read' : 'new')), { what: `the change of round ${round}` });
  }
});

test('what is no socket cannot be registered', async () => {
  const { service } = await start();
  for (const no of [null, undefined, {}, { send: () => {} }, 'socket']) {
    expect(() => service.registerClient('ann', no as never)).toThrow(failure('FIELD_INVALID', 'ws'));
  }
});

test('a caller may use its object again at once, also before the service is open', async () => {
  const { place } = await start();
  const fresh = createService(place);
  later(() => fresh.close());
  const data = { name: '' };
  const queued = ['ann1', 'bob1', 'eve1'].map((name) => {
    data.name = name;
    return fresh.queueNotification({ userId: name, templateId: hello.id, data });
  });
  await Promise.all(queued);
  await fresh.processQueue();
  for (const name of ['ann1', 'bob1', 'eve1'])
    expect((await fresh.getNotifications(name)).map(({ data: { name } }) => name)).toEqual([name]);
});

test('a key provider of one’s own wraps the keys in the place of `encryptionKeys`, and nothing opens without it', async () => {
  const place = { redisUrl: redis.url, prefix: newPrefix() };
  const newRing = () => `k:${randomBytes(32).toString('base64')}`;
  const ring = createKeyRing(newRing());
  const keyProvider: KeyProvider = {
    current: 'elsewhere',
    wrap: async (key, context) => `elsewhere/${await ring.wrap(key, context)}`,
    unwrap: (wrapped, context) => ring.unwrap(wrapped.replace('elsewhere/', ''), context),
    wrappedBy: () => 'elsewhere',
  };
  const open = (options: NotificationServiceOptions) => {
    const service = createService(place, { encryptionKeys: newRing(), ...options });
    later(() => service.close());
    return service;
  };
  const service = open({ keyProvider });
  await service.registerTemplate(hello);
  await service.queueNotification(greet('ann', 'x'));
  await service.processQueue();
  expect(await open({ keyProvider }).getNotifications('ann')).toMatchObject([{ title: 'Hello x' }]);

  const own = await createRedis({ url: redis.url }, { prefix: place.prefix, temper: 'prompt' });
  later(() => own.close());
  const stored = [...(await redisValues(own))].filter(([key]) => key.startsWith(`${place.prefix}keys:`));
  expect(stored.length).toBeGreaterThanOrEqual(2);
  for (const [, value] of stored) expect(value).toContain('elsewhere/');
  await expect(open({}).getNotifications('ann')).rejects.toBeInstanceOf(CarillonError);
});

test('a detector of one’s own looks through what leaves the house, and not what stays in the inbox', async () => {
  const place = { redisUrl: redis.url, prefix: newPrefix() };
  const detector: PiiDetector = {
    detect: (text) => [...text.matchAll(/Zanzibar/g)].map(({ index }) => ({ entity: 'record', start: index, end: index + 8 })),
  };
  const service = createService(place, { detector });
  later(() => service.close());
  await service.registerTemplate({ ...hello, channels: ['in_app', 'email'] });
  await service.queueNotification({ ...greet('ann', 'Zanzibar, 4111 1111 1111 1111'), to: { email: 'ann@example.com' } });
  await service.processQueue();
  const stores = await openStores(place);
  later(() => stores.close());
  const [mail] = await createPreviews(stores).list(1);
  expect(mail?.content).toMatchObject({ subject: 'Hello [record], 4111 1111 1111 1111' });
  expect(await service.getNotifications('ann')).toMatchObject([{ title: 'Hello Zanzibar, 4111 1111 1111 1111' }]);
});

test('whoever reads an inbox by the library is in the audit trail with what they were shown', async () => {
  const { service, place } = await start();
  const ids: string[] = [];
  for (const name of ['one', 'two']) ids.push(await service.queueNotification(greet('ann', name)));
  await service.processQueue();
  await service.getNotifications('ann');
  await service.getNotifications('nobody');
  await service.close();
  const own = await createRedis({ url: redis.url }, { prefix: place.prefix, temper: 'prompt' });
  later(() => own.close());
  const { data } = await createAuditReader(own).read({ action: 'inbox.viewed', limit: 10 });
  expect(data).toMatchObject([{ actor: { type: 'system', name: 'library' }, users: ['ann', 'nobody'] }]);
  expect(data[0]?.ids?.toSorted()).toEqual(ids.toSorted());
});

test('classes are given to the fields of a zod schema', async () => {
  const { service } = await start();
  const fields = fieldsOf(z.object({ name: phi(z.string()), who: pii(z.string()), page: publicly(z.url()) }));
  const template = { ...hello, id: 'classed', fields };
  await expect(service.registerTemplate({ ...template, channels: ['email'] })).rejects.toEqual(failure('TEMPLATE_INVALID', 'fields.name'));
  expect(await service.registerTemplate(template)).toMatchObject({ id: 'classed', changed: true });
});
