import { randomBytes } from 'node:crypto';
import { createRedis } from '@carillon/redis';
import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createSeats } from '../src/index.js';
import { startGateway, tokenFor } from './harness.js';

let server: TestRedis;
const undo: (() => Promise<void>)[] = [];
beforeAll(async () => {
  server = await startRedis();
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});
afterAll(() => server.stop());

/** Nodes that share one Redis. */
async function nodes(count: number, most: number) {
  const prefix = `seats-${randomBytes(4).toString('hex')}:`;
  return Promise.all(
    Array.from({ length: count }, async () => {
      const redis = await createRedis({ url: server.url }, { prefix, temper: 'prompt' });
      undo.push(redis.close);
      const seats = createSeats(redis, most);
      undo.push(seats.close);
      return { redis, seats };
    }),
  );
}
const key = 'auth0|{anna}';

test('a user has so many places at all gateways together, and another has as many', async () => {
  const [a, b] = (await nodes(2, 3)) as [Awaited<ReturnType<typeof nodes>>[0], Awaited<ReturnType<typeof nodes>>[0]];
  const taken = [await a.seats.take(key), await b.seats.take(key), await a.seats.take(key)];
  expect(taken).toEqual([true, true, true]);
  expect(await b.seats.take(key)).toBe(false);
  expect(await a.seats.take(key)).toBe(false);
  expect(await b.seats.take('bert')).toBe(true);
  a.seats.giveBack(key);
  await waitFor(async () => b.seats.take(key), { what: 'a place' });
  expect(await a.seats.take(key)).toBe(false);
});

test('of many that come at once exactly so many get a place', async () => {
  const both = await nodes(2, 10);
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => both[i % 2]?.seats.take(key)));
  expect(answers.filter(Boolean)).toHaveLength(10);
});

test('what nobody holds any more leaves nothing behind in Redis', async () => {
  const [{ redis, seats }] = (await nodes(1, 3)) as [Awaited<ReturnType<typeof nodes>>[0]];
  for (let i = 0; i < 2; i++) await seats.take(key);
  expect(await redis.command<number>('EXISTS', redis.keys.sockets(key))).toBe(1);
  expect(await redis.command<number>('PTTL', redis.keys.sockets(key))).toBeGreaterThan(80_000);
  for (let i = 0; i < 2; i++) seats.giveBack(key);
  await waitFor(async () => (await redis.command<number>('EXISTS', redis.keys.sockets(key))) === 0, { what: 'the key to go' });
});

/** Lets the clock go on by a millisecond, and nothing else happen. */
function nextMillisecond(): void {
  const now = Date.now();
  while (Date.now() === now);
}

test('Redis has the last count of places that are taken and given back at once, by many', async () => {
  const [{ redis, seats }] = (await nodes(1, 3)) as [Awaited<ReturnType<typeof nodes>>[0]];
  await seats.take('anna');
  nextMillisecond();
  const taken = [seats.take('zoe'), seats.take('bert')];
  seats.giveBack('anna');
  nextMillisecond();
  taken.push(seats.take('anna'));
  seats.giveBack('bert');
  expect(await Promise.all(taken)).toEqual([true, true, true]);
  await seats.take('carl');
  expect(await redis.command('HVALS', redis.keys.sockets('anna'))).toEqual([expect.stringMatching(/^1 /)]);
  expect(await redis.command('HVALS', redis.keys.sockets('bert'))).toEqual([]);
});

test('a place that was refused is not counted by who leaves meanwhile', async () => {
  const [a, b] = (await nodes(2, 2)) as [Awaited<ReturnType<typeof nodes>>[0], Awaited<ReturnType<typeof nodes>>[0]];
  for (let i = 0; i < 2; i++) await a.seats.take(key);
  const refused = a.seats.take(key);
  a.seats.giveBack(key);
  expect(await refused).toBe(false);
  await a.seats.take('bert');
  expect(await b.seats.take(key)).toBe(true);
});

test('what a gateway that died left behind counts no more when its lease is over', async () => {
  const [{ redis, seats }] = (await nodes(1, 2)) as [Awaited<ReturnType<typeof nodes>>[0]];
  await redis.command('HSET', redis.keys.sockets(key), 'dead', `2 ${Date.now() - 1}`);
  expect(await seats.take(key)).toBe(true);
  expect(await redis.command('HKEYS', redis.keys.sockets(key))).not.toContain('dead');
  await redis.command('HSET', redis.keys.sockets('bert'), 'alive', `2 ${Date.now() + 60_000}`);
  expect(await seats.take('bert')).toBe(false);
});

test('a socket too many is told so and closed with 3504, and one that closes makes room', async () => {
  const [{ seats }, other] = (await nodes(2, 2)) as [Awaited<ReturnType<typeof nodes>>[0], Awaited<ReturnType<typeof nodes>>[0]];
  const one = await startGateway({ parts: { seats } });
  const two = await startGateway({ parts: { seats: other.seats } });
  undo.push(one.stop, two.stop);
  const first = await one.signIn('anna');
  await two.signIn('anna');
  const third = await one.connect();
  expect(await third.authenticate(await tokenFor('anna'))).toMatchObject({ type: 'error', code: 'CONNECTION_LIMIT' });
  expect((await third.closed).code).toBe(3504);
  expect((await one.signIn('bert')).answer.type).toBe('authenticated');
  first.client.socket.terminate();
  await waitFor(
    async () => {
      const next = await two.connect();
      return (await next.authenticate(await tokenFor('anna'))).type === 'authenticated';
    },
    { what: 'a place' },
  );
});
