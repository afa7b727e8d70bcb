import { setTimeout as sleep } from 'node:timers/promises';
import { createTokenIssuer } from '@carillon/access';
import { startRedis, TestClient, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { end, endings, jwtSecret, openStores, startGateway, tokenFor } from './system.js';

/** Milliseconds after its expiry within which a silent socket is closed. */
const CLOSED_WITHIN = 1500;
const issuer = createTokenIssuer({ jwtSecret });

let redis: TestRedis;
let url: string;
const afterwards = endings('all');
beforeAll(async () => {
  redis = await startRedis();
  afterwards(() => redis.stop());
  const gateway = await startGateway({ redisUrl: redis.url });
  afterwards(() => end(gateway.process));
  url = gateway.url;
});
afterAll(() => undefined);
const later = endings();

async function connect(token: string) {
  const client = await TestClient.connect(url);
  later(() => client.close());
  expect(await client.authenticate(token)).toMatchObject({ type: 'authenticated' });
  return client;
}

test('a silent socket closes with 3005 when its token expires, and not before', async () => {
  const { token, expiresAt } = await issuer.issue('ann', 1);
  const client = await connect(token);
  const { code, reason } = await client.closed;
  const late = Date.now() - expiresAt;
  expect([code, reason]).toEqual([3005, 'token expired']);
  expect(late).toBeGreaterThanOrEqual(0);
  expect(late).toBeLessThan(CLOSED_WITHIN);
});

test('a socket that is spoken to and speaks closes at the same moment, and is told nothing after it', async () => {
  const stores = await openStores({ redisUrl: redis.url });
  later(() => stores.close());
  const { token, expiresAt } = await issuer.issue('busy', 1);
  const client = await connect(token);
  let isClosed = false;
  void client.closed.then(() => {
    isClosed = true;
  });
  let answered = 0;
  while (!isClosed) {
    const answer = await client.request({ type: 'getNotifications' }).catch(() => undefined);
    if (answer?.type === 'notifications') answered = Date.now();
    // Within what one socket may send in a minute.
    await sleep(1);
  }
  expect((await client.closed).code).toBe(3005);
  expect(answered).toBeGreaterThan(0);
  // An answer decided before the moment may arrive a little after it.
  expect(answered - expiresAt).toBeLessThan(500);
});

test('a new token by authenticate on the live socket keeps it open past the first expiry, without a replay', async () => {
  const first = await issuer.issue('carol', 1);
  const client = await connect(first.token);
  const second = await issuer.issue('carol', 4);
  const renewed = await client.authenticate(second.token, { epoch: 'any', offset: 0 });
  expect(renewed).toMatchObject({ type: 'authenticated', data: { userId: 'carol', unreadCount: 0, recovered: false } });
  await waitFor(() => Date.now() > first.expiresAt + CLOSED_WITHIN, { what: 'the first token to be long expired' });
  expect(client.socket.readyState).toBe(client.socket.OPEN);
  expect(await client.request({ type: 'getNotifications' })).toMatchObject({ type: 'notifications' });
  expect(client.frames.filter(({ snapshot }) => snapshot)).toEqual([]);
  expect((await client.closed).code).toBe(3005);
  expect(Date.now() - second.expiresAt).toBeGreaterThanOrEqual(0);
  expect(Date.now() - second.expiresAt).toBeLessThan(CLOSED_WITHIN);
});

test('the token of another user on a live socket, and any bad one, closes it with 3500 after an error frame', async () => {
  for (const token of [await tokenFor('mallory'), 'not.a.token']) {
    const client = await connect(await tokenFor('dave'));
    expect(await client.authenticate(token)).toMatchObject({ type: 'error', code: 'TOKEN_INVALID' });
    expect((await client.closed).code).toBe(3500);
  }
});
