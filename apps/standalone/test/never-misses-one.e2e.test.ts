import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Client, createClient } from '@carillon/client';
import { type FoldingClient, NodeWebSocket, startRedis, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { allHere, cutSubscriptions, expectEqual, gather, listedByHttp, settle, startWorld } from './chaos.js';
import { count } from './counts.js';
import { endings, greet, tokenFor } from './system.js';

const later = endings();
const CLIENTS = count(100, 1000);
const PER_SECOND = count(20, 50);
const DISASTERS = count(2, 5);
/** Milliseconds of load between one disaster and the next. */
const BETWEEN = count(3000, 8000);
/** Milliseconds in which the last loss has to be healed. What waits for the check of its position takes up to 45 s. */
const HEALED_WITHIN = 10_000;

/** What fetch gives has other prototypes than what is parsed in a test. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const one = <T>(list: readonly T[]): T | undefined => list[Math.floor(Math.random() * list.length)];

/** Does something so many times a second until the function returned is called; that resolves when all of it is done. */
function repeat(perSecond: number, act: () => unknown): () => Promise<void> {
  let isStopped = false;
  const begun = Date.now();
  const doing = (async () => {
    const under = new Set<unknown>();
    for (let done = 0; !isStopped; done++) {
      await sleep(Math.max(0, begun + (done * 1000) / perSecond - Date.now()));
      const acting = Promise.resolve(act()).finally(() => under.delete(acting));
      under.add(acting);
    }
    await Promise.all(under);
  })();
  return async () => {
    isStopped = true;
    await doing;
  };
}

/** What a person does to a notification they have, or to all. */
function touch(client: FoldingClient): void {
  const type = one(['markAsRead', 'markAsRead', 'markAsUnread', 'markAsSeen', 'archive', 'unarchive', 'delete', 'markAllAsRead']) as string;
  const notificationId = one([...client.notifications.keys()]);
  if (type === 'markAllAsRead') client.act({ type });
  else if (notificationId !== undefined) client.act({ type, notificationId });
}

test('gateways killed, subscriptions and sockets cut under load: every client ends with what the server has, and heard each change once', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const { stores, http, gateway } = await startWorld(redis, later);
  const users = Array.from({ length: CLIENTS }, (_, i) => `user|${i}`);
  const clients = await gather(users, gateway.url, later);
  const all = [...clients.values()];
  const toldNew = new Map(users.map((user) => [user, [] as string[]]));
  for (const [user, client] of clients) {
    client.onFrame((frame) => {
      if (frame.type === 'notification' && frame.event === 'new') toldNew.get(user)?.push(frame.data.id);
    });
  }

  const queued = new Map(users.map((user) => [user, [] as string[]]));
  const stopLoad = repeat(PER_SECOND, async () => {
    const user = one(users) as string;
    queued.get(user)?.push(await stores.producer.queueNotification(greet(user, `${Math.random()}`)));
  });
  const stopTouching = repeat(PER_SECOND, () => touch(one(all) as FoldingClient));
  const stopCutting = repeat(CLIENTS / 20, () => one(all)?.cut());

  for (let disaster = 0; disaster < DISASTERS; disaster++) {
    await sleep(BETWEEN);
    await gateway.replace();
    await sleep(BETWEEN);
    await cutSubscriptions(redis);
  }
  await sleep(BETWEEN);
  await stopCutting();
  await stopTouching();
  await stopLoad();
  await waitFor(() => stores.views.idle(['render', 'in_app']), { timeout: 60_000, what: 'the queues to be worked off' });
  await allHere(all);
  const healedMs = await settle(clients, stores);

  for (const [user, client] of clients) await expectEqual(user, client, http, stores);
  const sum = (of: (client: FoldingClient) => number) => all.reduce((total, client) => total + of(client), 0);
  const sorted = (of: Map<string, string[]>) => [...of].map(([user, ids]) => [user, ids.toSorted()]);
  expect(sorted(toldNew)).toEqual(sorted(queued));
  expect(sum(({ snapshots }) => snapshots)).toBe(0);
  // That it was put to the test at all.
  expect(sum(({ visits }) => visits)).toBeGreaterThan(CLIENTS * (1 + DISASTERS));
  expect(sum(({ answers }) => answers.get('ok') ?? 0)).toBeGreaterThan(0);
  expect(healedMs).toBeLessThan(HEALED_WITHIN);
  const changes = sum(({ offset }) => offset);
  console.info(
    `${CLIENTS} clients, ${changes} changes, ${sum(({ visits }) => visits)} visits; the last had all ${healedMs} ms after the end`,
  );
});

test('the client library goes through the same: its list and count are the server’s, and it tells of each notification once', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const { stores, http, gateway } = await startWorld(redis, later);
  const users = Array.from({ length: count(10, 100) }, (_, i) => `user|${i}`);
  const toldNew = new Map(users.map((user) => [user, [] as string[]]));
  const clients = users.map((user): [string, Client] => {
    const client = createClient({
      url: gateway.url,
      getToken: () => tokenFor(user),
      WebSocket: NodeWebSocket as unknown as typeof WebSocket,
    });
    client.on('notification', ({ id }) => void toldNew.get(user)?.push(id));
    client.connect();
    later(() => client.close());
    return [user, client];
  });
  await waitFor(() => clients.every(([, { snapshot }]) => snapshot.isLoaded), { what: 'all lists' });

  const queued = new Map(users.map((user) => [user, [] as string[]]));
  const stopLoad = repeat(PER_SECOND, async () => {
    const user = one(users) as string;
    queued.get(user)?.push(await stores.producer.queueNotification(greet(user, `${Math.random()}`)));
  });
  // A mark that was on its way when its gateway died may be refused; the list shows the truth either way.
  const stopTouching = repeat(PER_SECOND / 2, async () => {
    const client = one(clients)?.[1] as Client;
    const id = one(client.snapshot.notifications)?.id;
    const marks = [client.markAsRead, client.markAsUnread, client.archive, client.unarchive, client.delete];
    if (id !== undefined && client.snapshot.state === 'connected') await one(marks)?.(id).catch(() => {});
  });
  for (let disaster = 0; disaster < DISASTERS; disaster++) {
    await sleep(BETWEEN);
    await gateway.replace();
    await sleep(BETWEEN);
    await cutSubscriptions(redis);
  }
  await sleep(BETWEEN);
  await stopTouching();
  await stopLoad();
  await waitFor(() => stores.views.idle(['render', 'in_app']), { timeout: 60_000, what: 'the queues to be worked off' });

  const since = Date.now();
  for (const [user, client] of clients) {
    const { data, unreadCount } = await listedByHttp(http, user);
    while (client.snapshot.hasMore) await client.loadMore();
    const isEqual = () =>
      isDeepStrictEqual(plain([client.snapshot.unreadCount, client.snapshot.notifications]), plain([unreadCount, data]));
    // What is not equal in time is shown below.
    await waitFor(isEqual, { timeout: HEALED_WITHIN, what: 'all to be told' }).catch(() => {});
    expect(client.snapshot).toMatchObject({ state: 'connected', unreadCount, notifications: data });
    expect(toldNew.get(user)?.toSorted()).toEqual(queued.get(user)?.toSorted());
  }
  console.info(`${users.length} clients of the library; the last had all ${Date.now() - since} ms after the end`);
});
