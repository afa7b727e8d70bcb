import { randomBytes } from 'node:crypto';
import { createRevocations } from '@carillon/access';
import { createInbox } from '@carillon/inbox';
import { createRedis } from '@carillon/redis';
import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { startGateway, tokenFor } from './harness.js';

let server: TestRedis;
const vault = await memoryVault();
const undo: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startRedis();
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});
afterAll(() => server.stop());

/** A gateway with a Redis connection of its own, as a node of its own. */
async function node() {
  const redis = await createRedis({ url: server.url }, { prefix: `gateway-${randomBytes(4).toString('hex')}:`, temper: 'prompt' });
  return nodeOn(redis);
}
async function nodeOn(redis: Awaited<ReturnType<typeof createRedis>>) {
  const inbox = createInbox({ redis, vault, limits: { maxItems: 500, retention: 86_400_000 } });
  const revocations = createRevocations(redis);
  const started = await startGateway({ inbox, parts: { revocations } });
  undo.push(redis.close, inbox.close, started.stop);
  return { ...started, redis, revocations };
}
const offsets = (frames: { type: string; offset?: number }[]) =>
  frames.filter((frame) => frame.type === 'notification').map((frame) => frame.offset);

test('a change reaches every socket of its user, once and in order, and no other user', async () => {
  const { signIn, append } = await node();
  const sockets = await Promise.all([signIn('auth0|{anna}'), signIn('auth0|{anna}')]);
  const other = await signIn('bert');
  for (let i = 0; i < 20; i++) await append('auth0|{anna}', 5);
  for (const { client, answer } of sockets) {
    expect(answer).toMatchObject({ data: { offset: 0, unreadCount: 0 } });
    await client.next((frame) => frame.type === 'notification' && frame.offset === 100);
    expect(offsets(client.frames)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  }
  expect(await other.client.request({ type: 'getNotifications' })).toMatchObject({ data: [] });
  expect(offsets(other.client.frames)).toEqual([]);
});

test('a client that authenticates and resumes amid a stream of changes misses and repeats none', async () => {
  const { signIn, append, inbox } = await node();
  await append('anna', 5);
  const { epoch } = await inbox.head('anna');
  let more = true;
  const stream = (async () => {
    while (more) await append('anna', 2);
  })();
  const clients = [];
  for (let i = 0; i < 8; i++) clients.push(await signIn('anna', i % 2 ? { epoch, offset: 3 } : {}));
  more = false;
  await stream;
  const last = (await inbox.head('anna')).offset;
  for (const { client, answer } of clients) {
    const from = answer.data.recovered ? 4 : answer.data.offset + 1;
    if (from <= last) await client.next((frame) => frame.type === 'notification' && frame.offset === last);
    expect(offsets(client.frames)).toEqual(Array.from({ length: last - from + 1 }, (_, i) => from + i));
  }
});

test('changes during a lost connection are read from the log once it is back', async () => {
  const { signIn, append } = await node();
  const { client } = await signIn('anna');
  await append('anna');
  await client.next('notification');
  for (let round = 0; round < 3; round++) {
    const killer = await createRedis({ url: server.url }, { prefix: 'x', temper: 'prompt' });
    await killer.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await killer.close();
    await append('anna', 3);
  }
  await client.next((frame) => frame.type === 'notification' && frame.offset === 10);
  expect(offsets(client.frames)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('a socket lives through a restart of Redis and hears on', async () => {
  const { signIn, append, inbox } = await node();
  const { client } = await signIn('anna');
  await append('anna');
  await client.next('notification');
  await server.kill();
  expect(await client.request({ type: 'markAllAsRead' })).toMatchObject({ type: 'error', code: 'REDIS_UNAVAILABLE' });
  await server.restart();
  await waitFor(() => inbox.head('anna'), { what: 'Redis to be back' });
  await append('anna');
  await client.next((frame) => frame.type === 'notification' && frame.offset === 2);
  expect(await client.request({ type: 'markAllAsRead' })).toMatchObject({ type: 'ok' });
  await client.next('allRead');
});

test('a revocation closes every socket of its user within a second, on every node, and no other', async () => {
  const one = await node();
  const other = await nodeOn(await createRedis({ url: server.url }, { prefix: one.redis.keys.prefix, temper: 'prompt' }));
  const token = await tokenFor('anna');
  const sockets = await Promise.all([one.signIn('anna'), one.signIn('anna'), other.signIn('anna')]);
  const bert = await one.signIn('bert');
  const before = performance.now();
  await one.revocations.revoke('anna');
  for (const { client } of sockets) expect((await client.closed).code).toBe(3507);
  expect(performance.now() - before).toBeLessThan(1000);
  expect((await other.signIn('anna')).answer.type).toBe('authenticated');
  const late = await other.connect();
  expect(await late.authenticate(token)).toMatchObject({ type: 'error', code: 'TOKEN_REVOKED' });
  expect((await late.closed).code).toBe(3507);
  expect(await bert.client.request({ type: 'markAllAsRead' })).toMatchObject({ type: 'ok' });
});

test('a revocation whose announcement nobody could hear closes its sockets when the connection is back', async () => {
  const { signIn, redis } = await node();
  const { client } = await signIn('anna');
  // As the script does it, without the announcement.
  await redis.command('SET', redis.keys.revoked('anna'), Date.now() + 1);
  await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
  expect((await client.closed).code).toBe(3507);
});

test('while a person is being erased, a token of before is refused for good, and a later one for now', async () => {
  const { connect, revocations } = await node();
  const old = await tokenFor('zoe');
  await revocations.revoke('zoe');
  await vault.destroy('zoe');
  const [before, after] = [await connect(), await connect()];
  expect(await before.authenticate(old)).toMatchObject({ type: 'error', code: 'TOKEN_REVOKED' });
  expect((await before.closed).code).toBe(3507);
  expect(await after.authenticate(await tokenFor('zoe'))).toMatchObject({ type: 'error', code: 'ERASURE_UNDER_WAY' });
  const { code, reason } = await after.closed;
  expect(code).toBe(3010);
  expect(JSON.parse(reason).retryAfter).toBeGreaterThanOrEqual(1000);
});

test('a client that comes while Redis is away is turned away and may come back', async () => {
  const { connect } = await node();
  server.pause();
  const client = await connect();
  const answer = client.request({ type: 'authenticate', token: await tokenFor('anna') }, 15_000);
  expect(await answer).toMatchObject({ type: 'error', code: 'REDIS_UNAVAILABLE' });
  expect((await client.closed).code).toBe(3010);
  server.resume();
});

test('an attached socket hears what is appended right after the call', async () => {
  const { gateway, append } = await node();
  for (let round = 0; round < 20; round++) {
    const user = `user-${round}`;
    const sent: { type: string; offset?: number }[] = [];
    const socket = { readyState: 1, bufferedAmount: 0, send: (text: string) => void sent.push(JSON.parse(text)), on() {} };
    if (round % 2) await append(user);
    gateway.attach(user, socket);
    const appended = append(user, 2);
    await waitFor(() => offsets(sent).length === 2, { what: 'both changes' });
    await appended;
    expect(offsets(sent)).toEqual(round % 2 ? [2, 3] : [1, 2]);
    gateway.detach(user);
  }
});
