import { createServer } from 'node:http';
import { CarillonError } from '@carillon/contracts';
import { createMemoryInbox } from '@carillon/inbox';
import { waitFor } from '@carillon/testkit';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { hear, isLoaded, newUser, start, storageOf, tokenFor } from '../test/harness.js';

let server: Awaited<ReturnType<typeof start>>;
beforeEach(async () => {
  server = await start();
});
afterEach(() => server.stop());

const away = async (client: { snapshot: { state: string } }) => {
  server.proxy.refuse(true);
  await waitFor(() => client.snapshot.state === 'waiting', { what: 'the loss' });
};

test('a list is fetched, and follows what happens at the server', async () => {
  const userId = newUser();
  const [first] = await server.append(userId, 3);
  const { client, heard } = await server.signIn(userId);
  expect(client.snapshot).toMatchObject({ state: 'connected', unreadCount: 3, hasMore: false, isLoaded: true });
  expect(heard.notification).toEqual([]);
  const [fourth] = await server.append(userId);
  await server.inbox.mark(userId, first as string, 'archived');
  await server.isEqual(client, userId);
  expect(heard.notification.map(({ id }) => id)).toEqual([fourth]);
  expect(client.snapshot.notifications).toHaveLength(4);
});

test('what happened while the connection was away comes once and in order', async () => {
  const userId = newUser();
  const { client, heard } = await server.signIn(userId);
  await away(client);
  const ids = [...(await server.append(userId, 3)), ...(await server.append(userId, 2))];
  server.proxy.refuse(false);
  await server.isEqual(client, userId);
  expect(heard.notification.map(({ id }) => id)).toEqual(ids);
  expect(client.snapshot.state).toBe('connected');
});

test('a log that is gone is replaced by a page, with the new ones told', async () => {
  const userId = newUser();
  await server.append(userId, 2);
  const { client, heard } = await server.signIn(userId);
  const view = client.view({ unread: true });
  await away(client);
  await server.inbox.forget(userId);
  const ids = await server.append(userId, 3, { createdAt: Date.now() + 1 });
  server.proxy.refuse(false);
  await server.isEqual(client, userId);
  await waitFor(() => view.notifications.length === 3, { what: 'the view' });
  expect(heard.notification.map(({ id }) => id).sort()).toEqual([...ids].sort());
});

test('a snapshot is the same object until something in it changes', async () => {
  const userId = newUser();
  await server.append(userId);
  const { client, heard } = await server.signIn(userId);
  const before = client.snapshot;
  let told = 0;
  client.subscribe(() => told++);
  const view = client.view({ archived: true });
  await waitFor(() => view.isLoaded, { what: 'the view' });
  expect(client.snapshot).toBe(before);
  const changes = heard.change.length;
  await server.append(userId);
  await server.isEqual(client, userId);
  expect(client.snapshot).not.toBe(before);
  expect(before.notifications).toHaveLength(1);
  expect([told, heard.change.length - changes]).toEqual([1, 1]);
});

test('a mark shows at once, and is taken back with its code if the server refuses it', async () => {
  await server.stop();
  const inbox = createMemoryInbox({ maxItems: 500, retention: 86_400_000 });
  let isDown = true;
  server = await start({
    inbox: { ...inbox, mark: (...given) => (isDown ? Promise.reject(new CarillonError('REDIS_UNAVAILABLE')) : inbox.mark(...given)) },
    parts: { markAsRead: () => Promise.reject(new CarillonError('REDIS_UNAVAILABLE')) },
  });
  const userId = newUser();
  const [id] = (await server.append(userId, 2)) as [string];
  const { client } = await server.signIn(userId);
  const before = client.snapshot.notifications;
  const marked = client.archive(id);
  expect(client.snapshot.unreadCount).toBe(1);
  expect(client.snapshot.notifications.find((one) => one.id === id)).toMatchObject({ status: 'read', archivedAt: expect.any(Number) });
  await expect(marked).rejects.toMatchObject({ name: 'CarillonClientError', code: 'REDIS_UNAVAILABLE' });
  expect(client.snapshot).toMatchObject({ unreadCount: 2, notifications: before });
  isDown = false;
  await client.archive(id);
  await server.isEqual(client, userId);
  await expect(client.unarchive('00000000-0000-4000-8000-000000000000')).rejects.toMatchObject({ code: 'NOTIFICATION_NOT_FOUND' });
});

test('every mark ends as at the server, in the list, the count and the views', async () => {
  const userId = newUser();
  const [a, b, c, d] = (await server.append(userId, 5)) as [string, string, string, string];
  const { client } = await server.signIn(userId);
  const [unread, archived] = [client.view({ unread: true }), client.view({ archived: true })];
  await waitFor(() => unread.isLoaded && archived.isLoaded, { what: 'the views' });
  const gone = client.delete(d);
  expect(client.snapshot.notifications).toHaveLength(4);
  const done = [client.markAsRead(a), client.archive(b), client.markAsSeen([a, c]), client.markAsUnread(a), gone];
  expect(unread.notifications.map(({ id }) => id)).not.toContain(b);
  expect(archived.notifications.map(({ id }) => id)).toEqual([b]);
  await Promise.all(done);
  await server.isEqual(client, userId);
  await client.unarchive(b);
  await client.delete(d);
  const all = client.markAllAsRead();
  expect([client.snapshot.unreadCount, unread.notifications.length]).toEqual([0, 0]);
  await all;
  await server.isEqual(client, userId);
  expect([unread.notifications.length, archived.notifications.length]).toEqual([0, 0]);
  const told = unread.notifications;
  unread.close();
  await server.append(userId);
  await server.isEqual(client, userId);
  expect(unread.notifications).toBe(told);
});

test('marks made while away are sent on return, in order; too many are refused', async () => {
  const userId = newUser();
  const [a, b] = (await server.append(userId, 2)) as [string, string];
  const { client } = await server.signIn(userId);
  await away(client);
  const done = [client.markAsRead(a), client.delete(b), client.markAsUnread(a), client.archive(a)];
  expect(client.snapshot).toMatchObject({ unreadCount: 0, notifications: [{ id: a }] });
  const many = Array.from({ length: 100 }, () => client.markAsRead(a));
  await expect(many.at(-1)).rejects.toMatchObject({ code: 'OFFLINE' });
  server.proxy.refuse(false);
  await Promise.all(done);
  await Promise.allSettled(many);
  await server.isEqual(client, userId);
  server.proxy.refuse(true);
  const late = client.markAsUnread(a);
  client.close();
  await expect(late).rejects.toMatchObject({ code: 'CLOSED' });
  expect(client.snapshot).toEqual({ state: 'closed', notifications: [], unreadCount: 0, hasMore: false, isLoaded: false });
});

test('a token is renewed on the live socket, and the list stays', async () => {
  const userId = newUser();
  await server.append(userId);
  let asked = 0;
  const { client, heard } = await server.signIn(userId, { getToken: () => tokenFor(userId, asked++ === 0 ? 4 : 600) });
  await waitFor(() => asked === 2, { what: 'the renewal' });
  await new Promise((resolve) => setTimeout(resolve, 4000));
  await server.append(userId);
  await server.isEqual(client, userId);
  expect(heard.state).toEqual(['connecting', 'connected']);
  expect([server.proxy.opened(), asked]).toEqual([1, 2]);
});

test('what is kept shows at once on the next visit, and goes on from there', async () => {
  const userId = newUser();
  const storage = storageOf();
  await server.append(userId, 3);
  const first = await server.signIn(userId, { storage, pageSize: 2 });
  await waitFor(() => storage.kept.size, { what: 'the writing' });
  first.client.close();
  const missed = await server.append(userId, 2);
  server.proxy.refuse(true);
  const client = server.make({ storage, getToken: () => tokenFor(userId), pageSize: 2 });
  const heard = hear(client);
  client.connect();
  await waitFor(() => client.snapshot.isLoaded, { what: 'what was kept' });
  expect(client.snapshot).toMatchObject({ unreadCount: 3, hasMore: true });
  server.proxy.refuse(false);
  await waitFor(() => heard.notification.length === 2, { what: 'what was missed' });
  expect(heard.notification.map(({ id }) => id)).toEqual(missed);
  await client.loadMore();
  await server.isEqual(client, userId);
  client.close({ forget: true });
  expect(storage.kept.size).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(storage.kept.size).toBe(0);
});

test('what was kept is nobody else’s, and no harm if it is broken', async () => {
  const [one, other] = [newUser(), newUser()];
  const storage = storageOf();
  await server.append(one, 3);
  const first = await server.signIn(one, { storage });
  await waitFor(() => storage.kept.size, { what: 'the writing' });
  first.client.close();
  const second = await server.signIn(other, { storage });
  expect(second.client.snapshot.notifications).toEqual([]);
  for (const broken of ['', '{', 'null', '{"head":{"epoch":"e","offset":1,"unreadCount":1},"items":[{"id":1}]}']) {
    for (const key of storage.kept.keys()) storage.kept.set(key, broken);
    const { client } = await server.signIn(one, { storage });
    await server.isEqual(client, one);
    client.close();
  }
  const failing = {
    getItem: () => Promise.reject(new Error()),
    setItem: () => {
      throw new Error();
    },
    removeItem: () => {},
  };
  const { client } = await server.signIn(one, { storage: failing });
  await server.isEqual(client, one);
});

test('tabs of one user share one connection, and outlive the one that leads', async () => {
  const userId = newUser();
  const [a] = (await server.append(userId, 3)) as [string];
  const getToken = () => tokenFor(userId, 500 + Math.floor(Math.random() * 100));
  const tabs = [];
  for (let i = 0; i < 3; i++) tabs.push(await server.signIn(userId, { share: true, getToken }));
  expect(server.proxy.opened()).toBe(1);
  const [first, second, third] = tabs as [(typeof tabs)[0], (typeof tabs)[0], (typeof tabs)[0]];
  await third.client.archive(a);
  await Promise.all(tabs.map(({ client }) => server.isEqual(client, userId)));
  const view = second.client.view({ archived: true });
  await waitFor(() => view.notifications.length === 1, { what: 'the view of a tab that does not lead' });
  first.client.close();
  const fourth = await server.append(userId, 2);
  await Promise.all([second, third].map(({ client }) => server.isEqual(client, userId)));
  await waitFor(() => [second, third].every(({ client }) => client.snapshot.state === 'connected'), { what: 'the next connection' });
  server.proxy.cut();
  const more = await server.append(userId, 2);
  await Promise.all([second, third].map(({ client }) => server.isEqual(client, userId)));
  for (const { heard } of [second, third]) expect(heard.notification.map(({ id }) => id)).toEqual([...fourth, ...more]);
  await waitFor(() => third.client.snapshot.state === 'connected', { what: 'the connection' });
  await third.client.markAllAsRead();
  await Promise.all([second, third].map(({ client }) => server.isEqual(client, userId)));
  expect(server.proxy.opened()).toBe(3);
});

test('tabs of different users share nothing, nor does one whose user changes', async () => {
  const [one, other] = [newUser(), newUser()];
  await server.append(one, 2);
  await server.append(other, 1);
  let current = one;
  let ttl = 3;
  const first = await server.signIn(one, { share: true, getToken: () => tokenFor(current, ttl) });
  const second = await server.signIn(one, { share: true });
  const third = await server.signIn(other, { share: true });
  expect([first, second, third].map(({ client }) => client.snapshot.notifications.length)).toEqual([2, 2, 1]);
  expect(server.proxy.opened()).toBe(2);
  current = other;
  ttl = 600;
  await server.isEqual(first.client, other);
  await server.append(other);
  await server.append(one);
  await server.isEqual(first.client, other);
  await server.isEqual(second.client, one);
  await server.isEqual(third.client, other);
  for (const { client, user } of [
    { client: first.client, user: other },
    { client: second.client, user: one },
  ]) {
    expect(client.snapshot.notifications.map(({ userId }) => userId)).toEqual(expect.arrayContaining([user]));
    expect(new Set(client.snapshot.notifications.map(({ userId }) => userId)).size).toBe(1);
  }
});

test('preferences are asked for with the token of the client, and a refusal has its code', async () => {
  const calls: unknown[] = [];
  const api = createServer((request, response) => {
    let body = '';
    request.on('data', (data) => (body += data));
    request.on('end', () => {
      calls.push([request.method, request.url, request.headers.authorization, body]);
      const isBad = body.includes('nonsense');
      response.writeHead(isBad ? 400 : 200, { 'content-type': 'application/json' });
      response.end(isBad ? JSON.stringify({ code: 'FIELD_INVALID', detail: 'no' }) : body || '{"mute":true}');
    });
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  const token = await tokenFor(newUser());
  const client = server.make({ token, apiUrl: `http://127.0.0.1:${(api.address() as { port: number }).port}` });
  expect(await client.preferences()).toEqual({ mute: true });
  expect(await client.setPreferences({ channels: { sms: false } })).toEqual({ channels: { sms: false } });
  await expect(client.setPreferences({ nonsense: 1 } as never)).rejects.toMatchObject({ code: 'FIELD_INVALID' });
  expect(calls.slice(0, 2)).toEqual([
    ['GET', '/v1/me/preferences', `Bearer ${token}`, ''],
    ['PUT', '/v1/me/preferences', `Bearer ${token}`, '{"channels":{"sms":false}}'],
  ]);
  api.closeAllConnections();
  await new Promise((resolve) => api.close(resolve));
  await expect(client.preferences()).rejects.toMatchObject({ code: 'OFFLINE' });
});

test('a client can be closed and connected again, as a component mounted twice does', async () => {
  const userId = newUser();
  await server.append(userId, 2);
  const client = server.make({ getToken: () => tokenFor(userId) });
  client.connect();
  client.close();
  client.connect();
  await isLoaded(client);
  await server.isEqual(client, userId);
  client.close();
  client.close();
  client.connect();
  await isLoaded(client);
  await server.isEqual(client, userId);
});

test('a listener that throws harms nobody', async () => {
  const userId = newUser();
  const { client } = await server.signIn(userId);
  const real = console.error;
  const told: unknown[] = [];
  console.error = (error: unknown) => told.push(error);
  try {
    client.on('notification', () => {
      throw new Error('of a listener');
    });
    await server.append(userId, 2);
    await server.isEqual(client, userId);
    expect(told).toHaveLength(2);
  } finally {
    console.error = real;
  }
});
