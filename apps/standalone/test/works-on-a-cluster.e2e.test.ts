import { askRedis } from '@carillon/embedded';
import { startCluster, type TestCluster, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { count } from './counts.js';
import {
  Acknowledged,
  ask,
  end,
  endings,
  greet,
  hello,
  newIdsOf,
  openStores,
  signIn,
  startGateway,
  startRole,
  startStandalone,
} from './system.js';

const PARTITIONS = 4;
let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster(3);
});
afterAll(() => cluster.close());
const later = endings();

test('the whole path on three nodes and four partitions: queue, render, in-app, socket, mark as read, status', async () => {
  const place = { redisUrl: cluster.urls.join(','), partitions: PARTITIONS };
  const { process, http, sockets } = await startStandalone(place);
  later(() => end(process));
  expect(await ask(`${http}/v1/templates/hello`, 'PUT', hello)).toMatchObject({ status: 200 });

  const users = Array.from({ length: count(12, 60) }, (_, i) => `auth0|user {${i}}`);
  const clients = await Promise.all(users.map(async (userId) => (await signIn(sockets, userId)).client));
  later(() => Promise.all(clients.map((client) => client.close())));
  const each = count(5, 100);
  const notifications = Array.from({ length: each }, (_, i) =>
    users.map((userId) => greet(userId, `${i}`, { idempotencyKey: `${userId} ${i}` })),
  ).flat();
  const acknowledged = new Acknowledged();
  for (let from = 0; from < notifications.length; from += 500) {
    const some = notifications.slice(from, from + 500);
    const [bulk, again] = await Promise.all([1, 2].map(() => ask(`${http}/v1/notifications/bulk`, 'POST', { notifications: some })));
    expect(bulk).toMatchObject({ status: 202 });
    expect(again?.body).toEqual(bulk?.body);
    bulk?.body.results.forEach((result: { ok: boolean; id: string }, i: number) => {
      expect(result.ok).toBe(true);
      acknowledged.add(some[i]?.userId as string, result.id);
    });
  }
  await waitFor(() => clients.every((client) => newIdsOf(client).length === each), { timeout: 30_000, what: 'every socket to hear all' });
  users.forEach((userId, i) => {
    expect(newIdsOf(clients[i] as (typeof clients)[0]).toSorted()).toEqual(acknowledged.byUser.get(userId)?.toSorted());
  });

  for (const [i, userId] of users.entries()) {
    const client = clients[i] as (typeof clients)[0];
    const id = acknowledged.byUser.get(userId)?.[0] as string;
    expect((await ask(`${http}/v1/notifications/${id}`, 'GET')).body).toMatchObject({ userId, status: 'delivered' });
    expect(await client.request({ type: 'markAsRead', notificationId: id })).toMatchObject({ type: 'ok' });
    expect(await client.next(({ event }) => event === 'read')).toMatchObject({ data: { id }, unreadCount: each - 1, offset: each + 1 });
    expect((await ask(`${http}/v1/notifications/${id}`, 'GET')).body).toMatchObject({ status: 'read' });
    const path = `${http}/v1/users/${encodeURIComponent(userId)}`;
    expect((await ask(`${path}/unread-count`, 'GET')).body).toEqual({ unreadCount: each - 1 });
    const list = await ask(`${path}/notifications?limit=2`, 'GET');
    expect(list.body.data).toHaveLength(2);
    const rest = await ask(`${path}/notifications?cursor=${encodeURIComponent(list.body.nextCursor)}`, 'GET');
    expect(rest.body.data).toHaveLength(Math.min(50, each - 2));
  }
  const stores = await openStores(place);
  later(() => stores.close());
  // A queue's stream of events tells that it has had jobs.
  const used = await Promise.all(
    stores.views.queues.map(async (queue) => [queue.name, await stores.redis.command<number>('EXISTS', queue.toKey('events'))] as const),
  );
  for (const stage of ['render', 'in_app']) {
    expect(used.filter(([name, exists]) => name.startsWith(`${stage}-`) && exists === 1)).toHaveLength(PARTITIONS);
  }
});

test('apart, as processes: renderer, in-app, two gateways, and a producer of a customer', async () => {
  const place = { redisUrl: cluster.urls.join(','), partitions: PARTITIONS, prefix: 'apart:' };
  const stores = await openStores(place);
  later(() => stores.close());
  await stores.templates.register(hello);
  const workers = [startRole('renderer', place), startRole('in-app', place)];
  later(() => Promise.all(workers.map(end)));
  const gateways = await Promise.all([startGateway(place), startGateway(place)]);
  later(() => Promise.all(gateways.map(({ process }) => end(process))));
  const users = Array.from({ length: 8 }, (_, i) => `user ${i}`);
  const clients = await Promise.all(users.flatMap((userId) => gateways.map(async ({ url }) => (await signIn(url, userId)).client)));
  later(() => Promise.all(clients.map((client) => client.close())));
  for (const userId of users) await stores.producer.queueNotification(greet(userId, 'x'));
  await waitFor(() => clients.every((client) => newIdsOf(client).length === 1), { timeout: 30_000, what: 'every socket to hear' });
});

test('subscriptions that are cut stand again at once: no socket waits for the check of its position', async () => {
  const place = { redisUrl: cluster.urls.join(','), partitions: PARTITIONS, prefix: 'cut:' };
  const { process, http, sockets } = await startStandalone(place);
  later(() => end(process));
  expect(await ask(`${http}/v1/templates/hello`, 'PUT', hello)).toMatchObject({ status: 200 });
  const users = Array.from({ length: 12 }, (_, i) => `user ${i}`);
  const clients = await Promise.all(users.map(async (userId) => (await signIn(sockets, userId)).client));
  later(() => Promise.all(clients.map((client) => client.close())));
  for (let round = 1; round <= count(3, 20); round++) {
    for (const node of cluster.nodes) await askRedis(node, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
    const notifications = users.map((userId) => greet(userId, `${round}`));
    expect(await ask(`${http}/v1/notifications/bulk`, 'POST', { notifications })).toMatchObject({ status: 202 });
    await waitFor(() => clients.every((client) => newIdsOf(client).length === round), { what: 'every socket to hear' });
  }
});
