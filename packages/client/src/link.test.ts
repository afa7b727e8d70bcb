import { waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { hear, item, newUser, tokenFor } from '../test/harness.js';
import { type Scripted, startScripted } from '../test/scripted.js';
import { type ClientOptions, createClient } from './index.js';

const greet = (connection: Scripted, offset: number, recovered = false) =>
  connection.send({ type: 'authenticated', data: { userId: 'u', unreadCount: 0, epoch: 'e', offset, recovered } });
const page = (connection: Scripted, requestId: string | undefined, offset: number) =>
  connection.send({ type: 'notifications', data: [], epoch: 'e', offset, unreadCount: 0, requestId });

async function run(on: Parameters<typeof startScripted>[0], options: Partial<ClientOptions> = {}) {
  const server = await startScripted(on);
  const client = createClient({ url: server.url, share: false, getToken: () => tokenFor('u'), ...options });
  const heard = hear(client);
  client.connect();
  const stop = () => {
    client.close();
    return server.stop();
  };
  return { server, client, heard, stop };
}

test.each([1001, 3001, 3005, 3008, 3010, 3012, 3013])('after close code %i a client comes back', async (code) => {
  const { client, heard, stop } = await run((_, connection, index) => (index === 0 ? connection.close(code) : greet(connection, 1)));
  await waitFor(() => client.snapshot.state === 'connected', { what: 'the second connection' });
  expect(heard.state).toEqual(expect.arrayContaining(['waiting', 'connected']));
  expect(heard.closed).toEqual([]);
  await stop();
});

test.each([3500, 3501, 3504, 3507])('after close code %i it stays away', async (code) => {
  const { server, client, heard, stop } = await run((_, connection) => connection.close(code, 'why'));
  await waitFor(() => heard.closed.length, { what: 'the end' });
  expect(heard.closed).toEqual([{ code, reason: 'why' }]);
  expect(client.snapshot.state).toBe('closed');
  await expect(client.markAsRead('x')).rejects.toMatchObject({ code: 'CLOSED' });
  expect(server.times).toHaveLength(1);
  await stop();
});

test('an expired token that cannot be renewed ends it, one that can does not', async () => {
  const { heard, stop } = await run((_, connection) => connection.close(3005), {
    getToken: undefined as never,
    token: await tokenFor('u'),
  });
  await waitFor(() => heard.closed.length, { what: 'the end' });
  expect(heard.closed[0]).toMatchObject({ code: 3005 });
  await stop();
  const tokens: unknown[] = [];
  let asked = 0;
  const renewable = await run(
    (frame, connection, index) => {
      tokens.push(frame.token);
      index === 0 ? connection.close(3005) : greet(connection, 1);
    },
    { getToken: () => tokenFor('u', 600 + asked++) },
  );
  await waitFor(() => renewable.client.snapshot.state === 'connected', { what: 'the second connection' });
  expect(new Set(tokens.slice(0, 2)).size).toBe(2);
  await renewable.stop();
});

test('it does not come back before the pause it was told', async () => {
  const { server, client, stop } = await run((_, connection, index) =>
    index === 0 ? connection.close(3001, JSON.stringify({ reason: 'shutting down', retryAfter: 1500 })) : greet(connection, 1),
  );
  await waitFor(() => client.snapshot.state === 'connected', { what: 'the second connection' });
  expect((server.times[1] as number) - (server.times[0] as number)).toBeGreaterThanOrEqual(1490);
  await stop();
});

test('a missing change is fetched by resuming, and a repeated one dropped', async () => {
  const one = (offset: number) => ({
    type: 'notification',
    event: 'new',
    data: { ...item('u'), id: `n${offset}`, tags: [] },
    offset,
    unreadCount: 0,
  });
  const resumed: unknown[] = [];
  const { heard, stop } = await run((frame, connection, index) => {
    if (frame.type === 'getNotifications') {
      page(connection, frame.requestId, 5);
      if (index === 0) for (const offset of [5, 6, 6, 8]) connection.send(one(offset));
    } else if (index === 0) greet(connection, 5);
    else {
      resumed.push([frame.epoch, frame.offset]);
      greet(connection, 8, true);
      for (const offset of [7, 8]) connection.send(one(offset));
    }
  });
  await waitFor(() => heard.notification.length === 3, { what: 'all of them' });
  expect(heard.notification.map(({ id }) => id)).toEqual(['n6', 'n7', 'n8']);
  expect(resumed).toEqual([['e', 6]]);
  await stop();
});

test('a token told to expire at once is renewed at half of its life, not in a loop', async () => {
  let asked = 0;
  const expiring = (connection: Scripted) => connection.send({ type: 'tokenExpiring', data: { expiresAt: Date.now() + 4000 } });
  const renewed: number[] = [];
  const { heard, stop } = await run(
    (frame, connection) => {
      if (frame.type === 'getNotifications') return page(connection, frame.requestId, 1);
      if (renewed.length > 0 || asked > 1) renewed.push(Date.now());
      greet(connection, 1);
      expiring(connection);
    },
    {
      getToken: () => {
        asked++;
        return tokenFor('u', 4);
      },
    },
  );
  await waitFor(() => renewed.length === 2, { what: 'two renewals' });
  expect((renewed[1] as number) - (renewed[0] as number)).toBeGreaterThan(1500);
  expect(asked).toBeLessThanOrEqual(4);
  expect(heard.state).toEqual(['connecting', 'connected']);
  await stop();
});

test('a refused token that was kept for a while is tried anew once, a fresh one not', async () => {
  const user = newUser();
  let now = 0;
  const real = Date.now;
  Date.now = () => real() + now;
  try {
    let asked = 0;
    const { client, heard, stop } = await run(
      (_, connection, index) => {
        if (index === 0) {
          greet(connection, 1);
          now = 30_000;
          connection.close(3001);
        } else connection.close(3500);
      },
      {
        getToken: () => {
          asked++;
          return tokenFor(user, 3600 + asked);
        },
      },
    );
    await waitFor(() => client.snapshot.state === 'closed', { what: 'the end', timeout: 60_000 });
    expect(asked).toBe(2);
    expect(heard.closed).toEqual([{ code: 3500, reason: '' }]);
    await stop();
  } finally {
    Date.now = real;
  }
});

test('getToken that fails is asked again; without any token it ends', async () => {
  let asked = 0;
  const first = await run((_, connection) => greet(connection, 1), {
    getToken: () => {
      if (asked++ === 0) throw new Error('no network');
      return tokenFor('u');
    },
  });
  await waitFor(() => first.client.snapshot.state === 'connected', { what: 'the connection' });
  expect(first.heard.error[0]).toMatchObject({ code: 'NO_TOKEN' });
  await first.stop();
  const second = await run(() => {}, { getToken: () => '' });
  await waitFor(() => second.heard.closed.length, { what: 'the end' });
  await second.stop();
});

test.each([
  ['an address that is none', { url: 'no address' }],
  ['no WebSocket', { WebSocket: 'none' as never }],
])('%s ends it, and throws nothing where nobody can catch it', async (_, options) => {
  const { heard, server, stop } = await run(() => {}, options);
  await waitFor(() => heard.closed.length, { what: 'the end' });
  expect(heard.closed).toEqual([{ code: 3500, reason: 'NO_SOCKET' }]);
  expect(server.times).toEqual([]);
  await stop();
});

test('a pause longer than timers take is no reason to come back at once', async () => {
  const { server, client, stop } = await run((_, connection) => connection.close(3001, '{"retryAfter":1e12}'));
  await waitFor(() => client.snapshot.state === 'waiting', { what: 'the loss' });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(server.times).toHaveLength(1);
  await stop();
});

test('who comes after a close is asked for anew, and a token of the one before comes too late', async () => {
  const shown: unknown[] = [];
  const [one, other] = [await tokenFor('one'), await tokenFor('other')];
  let user: string | Promise<string> = one;
  const { client, stop } = await run(
    (frame, connection) => {
      if (frame.type === 'authenticate') shown.push(frame.token);
      greet(connection, 1);
    },
    { getToken: () => user },
  );
  await waitFor(() => shown.length === 1, { what: 'the first' });
  client.close();
  let late: (token: string) => void = () => {};
  user = new Promise((resolve) => {
    late = resolve;
  });
  client.connect();
  client.close();
  user = other;
  client.connect();
  await waitFor(() => shown.length === 2, { what: 'the other' });
  late(one);
  await new Promise((resolve) => setTimeout(resolve, 200));
  client.close();
  client.connect();
  await waitFor(() => shown.length === 3, { what: 'the other again' });
  expect(shown).toEqual([one, other, other]);
  await stop();
});

test('a page of another log than the connection tells of makes it begin anew, not ask again and again', async () => {
  let pages = 0;
  const user = newUser();
  const options = { share: true, getToken: () => tokenFor(user) };
  const { server, client, stop } = await run((frame, connection, index) => {
    if (frame.type === 'getNotifications') {
      pages++;
      const epoch = index === 0 && frame.category ? 'f' : index === 0 ? 'e' : 'f';
      connection.send({ type: 'notifications', data: [], epoch, offset: 1, unreadCount: 0, requestId: frame.requestId });
    } else {
      const epoch = index === 0 ? 'e' : 'f';
      connection.send({ type: 'authenticated', data: { userId: 'u', unreadCount: 0, epoch, offset: 1, recovered: false } });
      if (index > 0) connection.send({ type: 'notifications', snapshot: true, data: [], epoch, offset: 1, unreadCount: 0 });
    }
  }, options);
  await waitFor(() => client.snapshot.isLoaded, { what: 'the list' });
  const second = createClient({ url: server.url, ...options });
  try {
    second.connect();
    await waitFor(() => second.snapshot.isLoaded, { what: 'the list of the other tab' });
    const view = second.view({ category: 'a' });
    await waitFor(() => view.isLoaded, { what: 'the view' });
    expect(server.times).toHaveLength(2);
    expect(pages).toBeLessThan(8);
  } finally {
    second.close();
    await stop();
  }
});
