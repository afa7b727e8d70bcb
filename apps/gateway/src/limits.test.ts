import { request } from 'node:http';
import { TestClient, waitFor } from '@carillon/testkit';
import { afterEach, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { memoryInbox, startGateway, tokenFor } from '../test/harness.js';

type Started = Awaited<ReturnType<typeof startGateway>>;
const running: Started[] = [];
async function start(given: Parameters<typeof startGateway>[0] = {}): Promise<Started> {
  const started = await startGateway(given);
  running.push(started);
  return started;
}
afterEach(async () => {
  await Promise.all(running.splice(0).map((started) => started.stop()));
});

/** How a handshake is answered. */
function handshake(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number | undefined; retryAfter: string | undefined }> {
  const upgrade = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  return new Promise((resolve, reject) => {
    const asked = request(url.replace('ws:', 'http:'), { headers: { ...upgrade, ...headers } });
    const answered = ({ statusCode, headers }: { statusCode?: number | undefined; headers: { 'retry-after'?: string | undefined } }) =>
      resolve({ status: statusCode, retryAfter: headers['retry-after'] });
    asked.on('upgrade', (response, socket) => {
      socket.destroy();
      answered(response);
    });
    asked.on('response', answered).on('error', reject).end();
  });
}

describe('handshakes', () => {
  test('above those of a second are answered 503 with when to come back, and taken again then', async () => {
    const { url } = await start({ options: { rateHandshakes: { count: 3, window: 1000 } } });
    const answers = await Promise.all(Array.from({ length: 5 }, () => handshake(url)));
    expect(answers.map(({ status }) => status).sort()).toEqual([101, 101, 101, 503, 503]);
    expect(answers.filter(({ status }) => status === 503).map(({ retryAfter }) => retryAfter)).toEqual(['1', '1']);
    await waitFor(async () => (await handshake(url)).status === 101, { what: 'a handshake that is taken' });
  });

  test('of one network above its rate are answered 429, those of others are taken', async () => {
    const { url } = await start({ options: { rateConnections: { count: 2, window: 60_000 }, trustProxy: true } });
    const from = async (address: string) => (await handshake(url, { 'X-Forwarded-For': address })).status;
    expect([await from('192.0.2.1'), await from('192.0.2.1'), await from('192.0.2.1')]).toEqual([101, 101, 429]);
    expect(await from('192.0.2.2')).toBe(101);
    // One network of IPv6 is one customer, whatever its last 64 bits are.
    expect([await from('2001:db8::1'), await from('2001:db8::2'), await from('2001:db8::3')]).toEqual([101, 101, 429]);
    expect(await from('2001:db8:0:1::1')).toBe(101);
  });

  test('of who is refused for its own rate take nothing from what all share', async () => {
    const options = { rateConnections: { count: 1, window: 60_000 }, rateHandshakes: { count: 2, window: 60_000 }, trustProxy: true };
    const { url } = await start({ options });
    const from = async (address: string) => (await handshake(url, { 'X-Forwarded-For': address })).status;
    expect([await from('192.0.2.1'), await from('192.0.2.1'), await from('192.0.2.1'), await from('192.0.2.2')]).toEqual([
      101, 429, 429, 101,
    ]);
  });

  test('count by the address of the connection where no proxy is trusted, whatever the header says', async () => {
    const { url } = await start({ options: { rateConnections: { count: 1, window: 60_000 } } });
    const from = async (address: string) => (await handshake(url, { 'X-Forwarded-For': address })).status;
    expect([await from('192.0.2.1'), await from('192.0.2.2')]).toEqual([101, 429]);
  });

  test.each<[string, boolean | number | string[], string, string]>([
    ['one hop', 1, '192.0.2.66, 192.0.2.7', '192.0.2.7'],
    ['a network', ['loopback', '10.0.0.0/8'], '192.0.2.66, 192.0.2.8, 10.1.2.3', '192.0.2.8'],
  ])('count by the address before %s that is trusted', async (_, trustProxy, header, client) => {
    const { url } = await start({ options: { rateConnections: { count: 1, window: 60_000 }, trustProxy } });
    expect((await handshake(url, { 'X-Forwarded-For': header })).status).toBe(101);
    expect((await handshake(url, { 'X-Forwarded-For': client })).status).toBe(429);
    expect((await handshake(url, { 'X-Forwarded-For': '192.0.2.66' })).status).toBe(101);
  });

  test('of pages whose origin is not listed are answered 403; programs send none', async () => {
    const { url } = await start({ options: { allowedOrigins: ['https://app.example'] } });
    const from = async (origin?: string) => (await handshake(url, origin === undefined ? {} : { Origin: origin })).status;
    expect(await from('https://app.example')).toBe(101);
    expect(await from()).toBe(101);
    for (const origin of ['https://app.example.evil.example', 'http://app.example', 'https://app.example:444', 'null'])
      expect(await from(origin)).toBe(403);
  });
});

describe('sockets that have not authenticated', () => {
  test('of one network are limited, and make room by authenticating or leaving', async () => {
    const { url, connect } = await start({ options: { connectionsPerAddress: 2 } });
    const first = await connect();
    const second = await connect();
    expect(await handshake(url)).toEqual({ status: 429, retryAfter: '10' });
    await first.authenticate(await tokenFor('anna'));
    const third = await connect();
    expect((await handshake(url)).status).toBe(429);
    second.socket.terminate();
    await waitFor(async () => (await handshake(url)).status === 101, { what: 'a handshake that is taken' });
    await third.close();
  });

  test('may send a few frames while their token is proved, and no more', async () => {
    const { connect } = await start({ parts: { verify: () => new Promise(() => {}) } });
    const client = await connect();
    for (let i = 0; i < 20; i++) client.send({ type: 'authenticate', token: 'x' });
    expect((await client.closed).code).toBe(3013);
  });

  test('leave no place behind when the handshake itself is bad', async () => {
    const { url, connect } = await start({ options: { connectionsPerAddress: 1 } });
    for (let i = 0; i < 3; i++) expect((await handshake(url, { 'Sec-WebSocket-Version': '7' })).status).toBe(400);
    const client = await connect();
    expect(client.socket.readyState).toBe(WebSocket.OPEN);
  });
});

test('who guesses tokens is told to slow down, and what is right passes all the same', async () => {
  const { connect, closeCodes } = await start();
  const guess = async () => {
    const client = await connect();
    const answer = await client.authenticate('a guess');
    return { code: answer.code, closed: await client.closed };
  };
  expect(await guess()).toMatchObject({ code: 'TOKEN_INVALID', closed: { code: 3500 } });
  for (let done = 1; done < 600; done += 50) await Promise.all(Array.from({ length: 50 }, guess));
  const last = await guess();
  expect(last).toMatchObject({ code: 'RATE_LIMITED', closed: { code: 3013 } });
  expect(JSON.parse(last.closed.reason)).toEqual({ reason: 'too many requests', retryAfter: expect.any(Number) });
  expect(closeCodes.filter((code) => code === 3500)).toHaveLength(600);
  const client = await connect();
  expect(await client.authenticate(await tokenFor('anna'))).toMatchObject({ type: 'authenticated' });
});

test('a client that sends more messages than it may is closed, and told when to come back', async () => {
  const { signIn } = await start({ options: { rateMessages: { count: 5, window: 60_000 } } });
  const { client } = await signIn('anna');
  for (let i = 0; i < 4; i++) expect(await client.request({ type: 'getNotifications' })).toMatchObject({ type: 'notifications' });
  client.send({ type: 'getNotifications' });
  const { code, reason } = await client.closed;
  expect(code).toBe(3013);
  expect(JSON.parse(reason).retryAfter).toBeGreaterThan(0);
});

test('messages are counted anew in each window', async () => {
  const { signIn } = await start({ options: { rateMessages: { count: 3, window: 300 } } });
  const { client } = await signIn('anna');
  for (let i = 0; i < 8; i++) {
    expect(await client.request({ type: 'getNotifications' })).toMatchObject({ type: 'notifications' });
    await new Promise((resolve) => setTimeout(resolve, 160));
  }
});

describe('a token that will expire', () => {
  test('is told of in good time, and a new one keeps the socket', async () => {
    const { connect } = await start({ options: { tellExpiryBeforeMs: 3500 } });
    const client = await connect();
    await client.authenticate(await tokenFor('anna', 4));
    const told = await client.next('tokenExpiring');
    expect(told.data.expiresAt - Date.now()).toBeLessThanOrEqual(3500);
    expect(told.data.expiresAt - Date.now()).toBeGreaterThan(1000);
    expect(await client.authenticate(await tokenFor('anna', 600))).toMatchObject({ type: 'authenticated', data: { recovered: false } });
    await new Promise((resolve) => setTimeout(resolve, told.data.expiresAt - Date.now() + 400));
    expect(client.socket.readyState).toBe(WebSocket.OPEN);
    expect(client.frames.filter(({ type }) => type === 'tokenExpiring')).toHaveLength(1);
  });

  test('is told of at once, after the greeting, where less is left', async () => {
    const { connect } = await start();
    const client = await connect();
    await client.authenticate(await tokenFor('anna', 2));
    await client.next('tokenExpiring');
    expect(client.frames.map(({ type }) => type)).toEqual(['authenticated', 'unreadCount', 'tokenExpiring']);
    expect((await client.closed).code).toBe(3005);
  });
});

test('a client that reads slowly gets no bodies above a limit, and all of them in order once it reads', async () => {
  const inbox = memoryInbox();
  const { signIn, append, closeCodes } = await start({ inbox, options: { crowdedBytes: 64 * 1024 } });
  const slow = await signIn('anna');
  const quick = await signIn('anna');
  slow.client.socket.pause();
  // More than the kernel takes by itself, and so much that a socket which was sent it all would be closed as too slow.
  for (let i = 0; i < 300; i++) await append('anna', 1, 'x'.repeat(64 * 1024));
  await waitFor(() => quick.client.frames.filter(({ type }) => type === 'notification').length === 300, {
    what: 'all changes at the quick client',
  });
  const got = slow.client.frames.length;
  slow.client.socket.resume();
  await waitFor(() => slow.client.frames.filter(({ type }) => type === 'notification').length >= 300, {
    what: 'all changes at the slow client',
  });
  expect(got).toBeLessThan(10);
  const offsets = slow.client.frames.filter(({ type }) => type === 'notification').map(({ offset }) => offset);
  expect(offsets).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
  await waitFor(() => slow.client.frames.findLast(({ type }) => type === 'unreadCount')?.data.unreadCount === 300, {
    what: 'the last count',
  });
  await append('anna');
  expect(await slow.client.next(({ offset, type }) => type === 'notification' && offset === 301)).toMatchObject({ event: 'new' });
  expect(closeCodes).toEqual([]);
});

test('a client that renews its token while it catches up is told the place it has been told', async () => {
  const { signIn, append } = await start({ options: { crowdedBytes: 64 * 1024, maxBufferedBytes: 16 * 1024 * 1024 } });
  const { client } = await signIn('anna');
  client.socket.pause();
  for (let i = 0; i < 400; i++) await append('anna', 1, 'x'.repeat(32 * 1024));
  const token = await tokenFor('anna', 599);
  client.socket.on('message', () => {
    if (client.frames.length === 250) client.send({ type: 'authenticate', token, requestId: 'renewal' });
  });
  client.socket.resume();
  await waitFor(() => client.frames.some(({ requestId }) => requestId === 'renewal'), { what: 'the answer' });
  const at = client.frames.findIndex(({ requestId }) => requestId === 'renewal');
  const told = client.frames.slice(0, at).findLast(({ type }) => type === 'notification');
  expect(client.frames[at]?.data.offset).toBe(told?.offset);
});

test('a client that catches up on a log that lost its end is sent to resume, and the log is not read again and again', async () => {
  const inbox = memoryInbox();
  let isLost = false;
  let readings = 0;
  const since: typeof inbox.since = async (userId, position) => {
    if (!isLost) return inbox.since(userId, position);
    readings++;
    return { ...position, unreadCount: 0, recovered: true, changes: [] };
  };
  const options = { crowdedBytes: 64 * 1024, maxBufferedBytes: 16 * 1024 * 1024 };
  const { signIn, append } = await start({ inbox: { ...inbox, since }, options });
  const { client } = await signIn('anna');
  client.socket.pause();
  for (let i = 0; i < 300; i++) await append('anna', 1, 'x'.repeat(32 * 1024));
  isLost = true;
  client.socket.resume();
  expect((await client.closed).code).toBe(3010);
  expect(readings).toBeLessThan(5);
});

test('many sockets are closed over a while, and each is told when to come back', async () => {
  const started = await start({ options: { drainPerConnectionMs: 5 } });
  const clients = await Promise.all(Array.from({ length: 100 }, () => TestClient.connect(started.url)));
  const began = performance.now();
  const times = clients.map(async ({ closed }) => ({ ...(await closed), after: performance.now() - began }));
  await started.listener.close();
  await started.gateway.close({ deadlineMs: 5000 });
  const closed = await Promise.all(times);
  expect(new Set(closed.map(({ code }) => code))).toEqual(new Set([3001]));
  const pauses = closed.map(({ reason }) => JSON.parse(reason).retryAfter as number);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(500);
  expect(new Set(pauses).size).toBeGreaterThan(20);
  expect(Math.max(...closed.map(({ after }) => after)) - Math.min(...closed.map(({ after }) => after))).toBeGreaterThan(200);
});
