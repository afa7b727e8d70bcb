import { waitFor } from '@carillon/testkit';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { newUser, start, tokenFor } from '../test/harness.js';

let server: Awaited<ReturnType<typeof start>>;
/** Stands in for the page, which Node has not: whether it is in view, and what happens to it. */
const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
const shown: { title: string; tag: string }[] = [];

beforeEach(async () => {
  server = await start();
  shown.length = 0;
  page.visibilityState = 'visible';
  class Notification {
    static permission = 'granted';
    constructor(title: string, { tag }: { tag: string }) {
      shown.push({ title, tag });
    }
  }
  Object.assign(globalThis, { document: page, Notification, addEventListener: page.addEventListener.bind(page) });
});
afterEach(async () => {
  await server.stop();
  for (const name of ['document', 'Notification', 'addEventListener']) Reflect.deleteProperty(globalThis, name);
});

test('a new one shows on the desktop while the page is out of view, with no more than the text asked for', async () => {
  const userId = newUser();
  const desktop = () => ({ title: 'Something is new' });
  await server.signIn(userId, { desktop });
  const { client } = await server.signIn(userId, { desktop, share: true });
  await server.append(userId);
  await server.isEqual(client, userId);
  page.visibilityState = 'hidden';
  const [id] = await server.append(userId);
  await waitFor(() => shown.length === 2, { what: 'the notification of both clients' });
  expect(shown).toEqual([1, 2].map(() => ({ title: 'Something is new', tag: id })));
});

test('a text that cannot be made shows nothing, and what comes after it is taken all the same', async () => {
  const userId = newUser();
  const real = console.error;
  const told: unknown[] = [];
  console.error = (error: unknown) => told.push(error);
  try {
    let asked = 0;
    const desktop = () => {
      if (asked++ === 0) throw new Error('of a page');
      return { title: 'Something is new' };
    };
    const { client } = await server.signIn(userId, { desktop });
    page.visibilityState = 'hidden';
    await server.append(userId);
    await server.isEqual(client, userId);
    const [id] = await server.append(userId);
    await waitFor(() => shown.length === 1, { what: 'the second' });
    expect([shown[0]?.tag, told.length]).toEqual([id, 1]);
    await server.append(userId);
    await server.isEqual(client, userId);
    client.close();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(shown).toHaveLength(1);
  } finally {
    console.error = real;
  }
});

test('a page that is looked at again asks whether its connection lives', async () => {
  const frames: { type: string; requestId?: string }[] = [];
  class Recorded extends WebSocket {
    constructor(url: string) {
      super(url);
      this.addEventListener('message', ({ data }) => frames.push(JSON.parse(data)));
    }
  }
  const { heard } = await server.signIn(newUser(), { WebSocket: Recorded as never });
  page.dispatchEvent(new Event('visibilitychange'));
  await waitFor(() => frames.find(({ requestId }) => requestId === 'ping'), { what: 'the answer' });
  expect(frames.at(-1)).toEqual({ type: 'ok', requestId: 'ping' });
  expect(heard.state).toEqual(['connecting', 'connected']);
});

test('a network that goes ends the connection, one that comes begins it', async () => {
  const userId = newUser();
  const { client } = await server.signIn(userId);
  page.dispatchEvent(new Event('offline'));
  expect(client.snapshot.state).toBe('waiting');
  await server.append(userId);
  page.dispatchEvent(new Event('online'));
  await server.isEqual(client, userId);
  expect(client.snapshot.state).toBe('connected');
});

test('a tab in view takes the lead from one out of view that has lost the connection', async () => {
  const userId = newUser();
  const getToken = () => tokenFor(userId);
  const first = await server.signIn(userId, { share: true, getToken });
  const second = await server.signIn(userId, { share: true, getToken });
  const real = Math.random;
  // The one out of view would come back after half a minute only.
  Math.random = () => 0.99;
  try {
    let isAsked = 0;
    // The leader is asked first as it loses the connection, the other as it hears of it.
    Object.defineProperty(page, 'visibilityState', { configurable: true, get: () => (isAsked++ < 2 ? 'hidden' : 'visible') });
    server.proxy.cut();
    await waitFor(() => second.heard.state.includes('waiting'), { what: 'the loss' });
    await waitFor(() => [first, second].every(({ client }) => client.snapshot.state === 'connected'), {
      what: 'the new lead',
      timeout: 5000,
    });
    await server.append(userId);
    for (const { client } of [first, second]) await server.isEqual(client, userId);
    expect(server.proxy.opened()).toBe(2);
  } finally {
    Math.random = real;
    Object.defineProperty(page, 'visibilityState', { configurable: true, writable: true, value: 'visible' });
  }
});
