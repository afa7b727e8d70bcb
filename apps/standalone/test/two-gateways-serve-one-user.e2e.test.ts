import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { changesOf, createService, end, endings, greet, hello, newPrefix, openStores, signIn, startGateway } from './system.js';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
const later = endings();

test('a user at two gateways hears everything at both, in order; each follows only the users it holds', async () => {
  const place = { redisUrl: redis.url, prefix: newPrefix() };
  const [stores, service] = [await openStores(place), createService(place)];
  later(() => stores.close());
  later(() => service.close());
  await service.registerTemplate(hello);
  await service.start();
  const [one, two] = await Promise.all([startGateway(place), startGateway(place)]);
  later(() => Promise.all([end(one.process), end(two.process)]));

  const { client: phone } = await signIn(one.url, 'ann');
  const { client: desk } = await signIn(two.url, 'ann');
  const { client: tab } = await signIn(two.url, 'ann');
  const { client: bob } = await signIn(two.url, 'bob');
  for (const client of [phone, desk, tab, bob]) later(() => client.close());

  const channel = (userId: string) => stores.redis.keys.inboxChannel(userId);
  const followers = async (userId: string) => (await stores.redis.command<[string, number]>('PUBSUB', 'NUMSUB', channel(userId)))[1];
  const followed = async () => (await stores.redis.command<string[]>('PUBSUB', 'CHANNELS', `${place.prefix}inbox:*`)).toSorted();
  expect(await followed()).toEqual([channel('ann'), channel('bob')]);
  expect([await followers('ann'), await followers('bob'), await followers('carol')]).toEqual([2, 1, 0]);

  const ids: string[] = [];
  for (let i = 0; i < 30; i++) ids.push(await service.queueNotification(greet('ann', `${i}`)));
  const all = [phone, desk, tab];
  await waitFor(() => all.every((client) => changesOf(client).length === 30), { what: 'all sockets to hear all' });
  expect(await phone.request({ type: 'markAsRead', notificationId: ids[4] as string })).toMatchObject({ type: 'ok' });
  const isRead = ({ event, data }: { event?: string; data?: { id: string } }) => event === 'read' && data?.id === ids[4];
  for (const client of all) expect(await client.next(isRead)).toMatchObject({ offset: 31, unreadCount: 29, data: { status: 'read' } });
  expect(await desk.request({ type: 'markAllAsRead' })).toMatchObject({ type: 'ok' });
  for (const client of all) expect(await client.next('allRead')).toMatchObject({ offset: 32, unreadCount: 0 });
  for (const client of all) {
    expect(changesOf(client).map(({ offset }) => offset)).toEqual(Array.from({ length: 32 }, (_, i) => i + 1));
    expect(changesOf(client)).toEqual(changesOf(phone));
    await client.next(({ type, data }) => type === 'unreadCount' && data.unreadCount === 0);
  }
  expect(changesOf(bob)).toEqual([]);

  // Of two sockets at one gateway the first to go leaves the subscription, the last one ends it.
  await tab.close();
  await service.queueNotification(greet('ann', 'still here'));
  await desk.next(({ data }) => data?.title === 'Hello still here');
  expect(await followers('ann')).toBe(2);
  await desk.close();
  await waitFor(async () => (await followers('ann')) === 1, { what: 'the second gateway to let go' });
  await phone.close();
  await bob.close();
  await waitFor(async () => (await followed()).length === 0, { what: 'both to follow nobody' });
});

test('a user goes on at the second gateway where the first one died', async () => {
  const place = { redisUrl: redis.url, prefix: newPrefix() };
  const service = createService(place);
  later(() => service.close());
  await service.registerTemplate(hello);
  await service.start();
  const [one, two] = await Promise.all([startGateway(place), startGateway(place)]);
  later(() => Promise.all([end(one.process), end(two.process)]));
  const { client: before, answer } = await signIn(one.url, 'ann');
  await service.queueNotification(greet('ann', 'first'));
  await before.next('notification');
  await end(one.process);
  expect((await before.closed).code).toBe(1006);
  await service.queueNotification(greet('ann', 'second'));
  const { client, answer: resumed } = await signIn(two.url, 'ann', { epoch: answer.data.epoch, offset: 1 });
  later(() => client.close());
  expect(resumed.data).toMatchObject({ recovered: true });
  await client.next(({ data }) => data?.title === 'Hello second');
  expect(changesOf(client)).toMatchObject([{ event: 'new', offset: 2 }]);
});
