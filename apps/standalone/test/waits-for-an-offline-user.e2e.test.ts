import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { WebSocketServer } from '../src/index.js';
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
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' }, service);
  later(() => server.close());
  const queue = async (from: number, to: number) => {
    for (let i = from; i < to; i++) await service.queueNotification(greet('ann', `${i}`));
    await service.processQueue();
  };
  return { service, url: `ws://127.0.0.1:${await server.ready}`, queue };
}

test('who was offline is told the count and reads the list on connecting, and is sent nothing of it unasked', async () => {
  const { url, queue } = await start();
  await queue(0, 5);
  const { client, answer } = await signIn(url, 'ann');
  later(() => client.close());
  expect(answer).toMatchObject({ type: 'authenticated', data: { unreadCount: 5, offset: 5, recovered: false } });
  expect(await client.next('unreadCount')).toMatchObject({ data: { unreadCount: 5 }, offset: 5 });
  const page = await client.request({ type: 'getNotifications', limit: 3 });
  expect(page).toMatchObject({
    type: 'notifications',
    epoch: answer.data.epoch,
    offset: 5,
    unreadCount: 5,
    nextCursor: expect.any(String),
  });
  expect(page.data.map(({ title }: { title: string }) => title)).toEqual(['Hello 4', 'Hello 3', 'Hello 2']);
  const rest = await client.request({ type: 'getNotifications', limit: 3, offset: 3 });
  expect(rest.data.map(({ title }: { title: string }) => title)).toEqual(['Hello 1', 'Hello 0']);
  expect(rest.nextCursor).toBeUndefined();
  expect(changesOf(client)).toEqual([]);
});

test('who comes back with epoch and offset is told all it missed, in order, and then what is new', async () => {
  const { service, url, queue } = await start();
  await queue(0, 2);
  const { client: before, answer } = await signIn(url, 'ann');
  const { epoch, offset } = answer.data;
  await before.close();

  await queue(2, 6);
  const missed = await service.getNotifications('ann');
  await service.markAsRead('ann', missed[0]?.id as string);
  await service.markAllAsRead('ann');

  const { client, answer: resumed } = await signIn(url, 'ann', { epoch, offset });
  later(() => client.close());
  expect(resumed.data).toMatchObject({ recovered: true, epoch, offset: 8, unreadCount: 0 });
  await waitFor(() => changesOf(client).length === 6, { what: 'the replay' });
  expect(changesOf(client).map(({ type, event, offset: at }) => [event ?? type, at])).toEqual([
    ['new', 3],
    ['new', 4],
    ['new', 5],
    ['new', 6],
    ['read', 7],
    ['allRead', 8],
  ]);
  await queue(6, 7);
  await waitFor(() => changesOf(client).at(-1)?.offset === 9, { what: 'the next live notification' });
  expect(newIdsOf(client)).toHaveLength(5);
});

test('who comes back with a position that is not one gets a snapshot instead', async () => {
  const { url, queue } = await start();
  await queue(0, 3);
  const { client: before, answer } = await signIn(url, 'ann');
  await before.close();
  const cases = [
    { epoch: 'another', offset: 1 },
    { epoch: answer.data.epoch, offset: 99 },
  ];
  for (const position of cases) {
    const { client, answer: refused } = await signIn(url, 'ann', position);
    expect(refused.data).toMatchObject({ recovered: false, offset: 3, unreadCount: 3 });
    const snapshot = await client.next('notifications');
    expect(snapshot).toMatchObject({ snapshot: true, epoch: answer.data.epoch, offset: 3 });
    expect(snapshot.data).toHaveLength(3);
    expect(changesOf(client)).toEqual([]);
    await client.close();
  }
});

test('every change made while a client comes back again and again is told once', async () => {
  const { service, url } = await start();
  await service.start();
  // Under way while the client comes and goes; few enough for one log.
  const queued: Promise<string>[] = [];
  const heard: { id: string; offset: number }[] = [];
  let position: { epoch?: string; offset?: number } = {};
  for (let visit = 0; visit < 10; visit++) {
    for (let i = 0; i < 20; i++) queued.push(service.queueNotification(greet('ann', `${visit}/${i}`)));
    const { client, answer } = await signIn(url, 'ann', position);
    if (visit > 0) expect(answer.data.recovered).toBe(true);
    for (let i = 0; i < 20; i++) queued.push(service.queueNotification(greet('ann', `${visit}/${i}`)));
    await waitFor(() => newIdsOf(client).length > 5, { what: 'a few notifications' });
    // Closed in the middle of the stream: what was received is the position.
    client.socket.terminate();
    await client.closed;
    const changes = changesOf(client);
    heard.push(...changes.map(({ data, offset }) => ({ id: data.id as string, offset: offset as number })));
    position = { epoch: answer.data.epoch, offset: changes.at(-1)?.offset };
  }
  const ids = await Promise.all(queued);
  const { client } = await signIn(url, 'ann', position);
  later(() => client.close());
  const first = heard[0]?.offset ?? 1;
  await waitFor(() => heard.length + newIdsOf(client).length >= ids.length - first + 1, { what: 'the rest' });
  heard.push(...changesOf(client).map(({ data, offset }) => ({ id: data.id as string, offset: offset as number })));
  expect(heard.map(({ offset }) => offset)).toEqual(heard.map((_, i) => first + i));
  expect(new Set(heard.map(({ id }) => id)).size).toBe(heard.length);
});
