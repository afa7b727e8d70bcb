import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { waitFor } from '@carillon/testkit';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { hasten, hear, newUser, start, tokenFor } from '../test/harness.js';
import { type Scripted, startScripted } from '../test/scripted.js';
import { type Client, createClient } from './index.js';

// Silence of a server, of a tab and of a storage, milliseconds as the client counts them.
const SILENCE = 25_000;
const ANSWERED_WITHIN = 15_000;
const LEADER_WITHIN = 4000;

let clock: ReturnType<typeof hasten>;
beforeEach(() => {
  clock = hasten([SILENCE, ANSWERED_WITHIN, LEADER_WITHIN]);
});
afterEach(() => clock.restore());

const answer = (connection: Scripted, frame: Scripted['frames'][number]) => {
  const at = { epoch: 'e', offset: 1, unreadCount: 0 };
  if (frame.type === 'authenticate') connection.send({ type: 'authenticated', data: { ...at, userId: 'u', recovered: true } });
  else if (frame.type === 'getNotifications') connection.send({ type: 'notifications', data: [], ...at, requestId: frame.requestId });
  else connection.send({ type: 'ok', requestId: frame.requestId });
};

test('a server that falls silent is asked, and left if it does not answer; nothing of it goes on after the end', async () => {
  let pings = 0;
  const server = await startScripted((frame, connection, index) => {
    if (frame.type === 'ping') pings++;
    if (index > 0 || pings < 3) answer(connection, frame);
  });
  const client = createClient({ url: server.url, share: false, getToken: () => tokenFor('u') });
  const heard = hear(client);
  client.connect();
  await waitFor(() => pings === 2, { what: 'two questions' });
  expect(heard.state).toEqual(['connecting', 'connected']);
  await waitFor(() => heard.state.length === 5, { what: 'the next connection' });
  expect(heard.state.slice(2)).toEqual(['waiting', 'connecting', 'connected']);
  expect(server.times).toHaveLength(2);
  client.close();
  await waitFor(() => clock.open.size === 0, { what: 'no timer', timeout: 2000 });
  await server.stop();
});

test('asking again and again does not hide that nothing answers', async () => {
  const server = await startScripted((frame, connection, index) => {
    if (index > 0 || frame.type === 'authenticate' || frame.type === 'getNotifications') answer(connection, frame);
  });
  const client = createClient({ url: server.url, share: false, getToken: () => tokenFor('u') });
  client.connect();
  await waitFor(() => client.snapshot.isLoaded, { what: 'the list' });
  const asking = setInterval(() => client.markAllAsRead().catch(() => {}), (0.6 * ANSWERED_WITHIN) / 20);
  try {
    await waitFor(() => server.times.length === 2, { what: 'the next connection', timeout: 3000 });
  } finally {
    clearInterval(asking);
    client.close();
    await server.stop();
  }
});

/** Two clients of one user in two tabs; and the channel of the first, which leads. */
async function twoTabs(server: Awaited<ReturnType<typeof start>>, userId: string) {
  const Real = BroadcastChannel;
  const channels: BroadcastChannel[] = [];
  globalThis.BroadcastChannel = class extends Real {
    constructor(name: string) {
      super(name);
      channels.push(this);
    }
  };
  try {
    const first = await server.signIn(userId, { share: true });
    const second = await server.signIn(userId, { share: true });
    return { first, second, channel: channels[0] as BroadcastChannel };
  } finally {
    globalThis.BroadcastChannel = Real;
  }
}

test('a tab that leads and hears nothing is replaced, and follows when it is back', async () => {
  const server = await start();
  const userId = newUser();
  const { first, second, channel } = await twoTabs(server, userId);
  channel.onmessage = null;
  channel.postMessage = () => {};
  await waitFor(() => server.proxy.opened() === 2, { what: 'another that leads' });
  const ids = await server.append(userId, 2);
  for (const { client } of [first, second]) await server.isEqual(client, userId);
  await waitFor(() => [first, second].every(({ client }) => client.snapshot.state === 'connected'), { what: 'both' });
  const view = first.client.view({ unread: true });
  await waitFor(() => view.notifications.length === 2, { what: 'the view of the one that follows' });
  for (const { heard } of [first, second]) expect(heard.notification.map(({ id }) => id)).toEqual(ids);
  expect(server.proxy.opened()).toBe(2);
  await server.stop();
});

test('tabs that find the lead held by one that hangs agree on another', async () => {
  const server = await start();
  const userId = newUser();
  const before = await server.signIn(userId, { share: true });
  const held = (await navigator.locks.query()).held?.map(({ name }) => name).find((name) => name?.includes(server.url)) as string;
  before.client.close();
  let free = () => {};
  const hung = navigator.locks.request(held, () => new Promise<void>((resolve) => (free = resolve))).catch(() => {});
  const clients: Client[] = Array.from({ length: 3 }, () => server.make({ share: true, getToken: () => tokenFor(userId) }));
  for (const client of clients) client.connect();
  const isSettled = () => clients.every(({ snapshot }) => snapshot.state === 'connected' && snapshot.isLoaded);
  await waitFor(isSettled, { what: 'all of them' });
  await server.append(userId);
  for (const client of clients) await server.isEqual(client, userId);
  const opened = server.proxy.opened();
  await new Promise((resolve) => setTimeout(resolve, (2 * SILENCE) / 20));
  expect([isSettled(), server.proxy.opened()]).toEqual([true, opened]);
  free();
  await hung;
  await server.stop();
});

test('a storage that never answers holds nothing up', async () => {
  const server = await start();
  const userId = newUser();
  const storage = { getItem: () => new Promise<null>(() => {}), setItem() {}, removeItem() {} };
  const { client } = await server.signIn(userId, { storage });
  await server.append(userId);
  await server.isEqual(client, userId);
  await server.stop();
});

test('preferences without an address are refused, and nothing is asked for', async () => {
  let asked = 0;
  const getToken = () => {
    asked++;
    return tokenFor('u');
  };
  const client = createClient({ url: 'ws://127.0.0.1:1', getToken });
  for (const refused of [client.preferences(), client.setPreferences({ mute: true })]) {
    await expect(refused).rejects.toMatchObject({ name: 'CarillonClientError', code: 'NO_API_URL' });
  }
  expect(asked).toBe(0);
});

test('a view that is closed lets go of its listeners', async () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const client = createClient({ url: 'ws://127.0.0.1:1', token: await tokenFor('u') });
  const view = client.view({ unread: true });
  const listener = new WeakRef(subscribe(view.subscribe));
  view.close();
  const isGone = () => {
    collect();
    return !listener.deref();
  };
  await waitFor(isGone, { what: 'the end of a listener' });
  expect(client.snapshot.state).toBe('idle');
});

function subscribe(to: (listener: () => void) => unknown) {
  const given = { listener: () => void given };
  to(given.listener);
  return given.listener;
}
