import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { WebSocketServer } from '../src/index.js';
import { count } from './counts.js';
import { changesOf, createService, endings, greet, hello, newIdsOf, newPrefix, signIn } from './system.js';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
const later = endings();

async function start() {
  const service = createService({ redisUrl: redis.url, prefix: newPrefix() });
  later(() => service.close());
  await service.registerTemplate(hello);
  await service.start();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' }, service);
  later(() => server.close());
  return { service, url: `ws://127.0.0.1:${await server.ready}` };
}

test('what is queued reaches every open socket of its user, in order and with its count, and nobody else', async () => {
  const { service, url } = await start();
  const { client: one } = await signIn(url, 'auth0|ann');
  const { client: two } = await signIn(url, 'auth0|ann');
  const { client: stranger } = await signIn(url, 'bob');
  for (const client of [one, two, stranger]) later(() => client.close());

  const total = count(50, 1000);
  const ids: string[] = [];
  for (let i = 0; i < total; i++) ids.push(await service.queueNotification(greet('auth0|ann', `${i}`)));
  for (const client of [one, two]) {
    await waitFor(() => newIdsOf(client).length === total, { what: 'all notifications on a socket' });
    expect(new Set(newIdsOf(client))).toEqual(new Set(ids));
    expect(changesOf(client).map(({ offset }) => offset)).toEqual(Array.from({ length: changesOf(client).length }, (_, i) => i + 1));
    const first = client.frames.find(({ data }) => data?.id === ids[0]);
    expect(first?.data).toMatchObject({
      title: 'Hello 0',
      body: 'Your number is 0.',
      data: { name: '0' },
      status: 'delivered',
      readAt: null,
    });
  }
  await waitFor(() => one.frames.findLast(({ type }) => type === 'unreadCount')?.data.unreadCount === Math.min(total, 500), {
    what: 'the last count',
  });

  // Queued after Ann's, so what the stranger had wrongly been sent would be there by now.
  await service.queueNotification(greet('bob', 'bob'));
  await stranger.next('notification');
  expect(newIdsOf(stranger)).toHaveLength(1);
});

test('a socket that is read from late has missed nothing', async () => {
  const { service, url } = await start();
  const { client } = await signIn(url, 'ann');
  later(() => client.close());
  client.socket.pause();
  const results = await service.queueNotifications(Array.from({ length: 100 }, (_, i) => greet('ann', `${i}`)));
  expect(results.every(({ ok }) => ok)).toBe(true);
  await waitFor(async () => (await service.getUnreadCount('ann')) === 100, { what: 'the inbox to hold all' });
  expect(newIdsOf(client)).toEqual([]);
  client.socket.resume();
  await waitFor(() => newIdsOf(client).length === 100, { what: 'all notifications on the socket' });
  expect(changesOf(client).map(({ offset }) => offset)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
});
