import { readFileSync } from 'node:fs';
import type { Notification } from '@carillon/contracts';
import { askRedis } from '@carillon/embedded';
import { FoldingClient, freePort, type SpawnedProcess, type TestRedis, waitFor } from '@carillon/testkit';
import { expect } from '@jest/globals';
import { apiKey, end, hello, openStores, type Stores, startRole, startStandalone, tokenFor } from './system.js';

/** Many clients of one address come back at once here, again and again: only the limit of all together is left as it is. */
const UNLIMITED = { NOTIFICATION_RATE_CONNECTIONS: '1000000/m', NOTIFICATION_RATE_MESSAGES: '1000000/m' };
/** Bytes of a page of memory, in which Linux tells the size of a process (proc(5)). */
const PAGE = 4096;

/** A gateway that can be killed and started again at the same address. */
export interface MortalGateway {
  readonly url: string;
  /** Ends it at once, and resolves when the next one listens. */
  replace(): Promise<void>;
  /** Bytes of memory it has now. */
  memory(): number;
  /** How many of the sockets of the one that stands have ended, by close code. */
  closes(): Promise<Map<number, number>>;
  /** All that those before and this one wrote. */
  output(): string;
  /** How the one that stands has ended, if it has. */
  isAlive(): boolean;
  stop(): Promise<void>;
}

/** Starts one. The caller stops it. */
export async function startMortalGateway(redisUrl: string, more: Record<string, string> = {}): Promise<MortalGateway> {
  const [port, admin] = [await freePort(), await freePort()];
  let written = '';
  let current: SpawnedProcess | undefined;
  let isAlive = false;
  const start = async () => {
    const started = startRole(
      'gateway',
      { redisUrl },
      { ...UNLIMITED, NOTIFICATION_WS_PORT: String(port), NOTIFICATION_ADMIN_PORT: String(admin), ...more },
    );
    current = started;
    isAlive = true;
    void started.exited.then(() => {
      if (current === started) isAlive = false;
    });
    await started.ready('gateway listening');
  };
  const stop = async () => {
    if (!current) return;
    await end(current);
    written += current.output();
    current = undefined;
  };
  await start();
  return {
    url: `ws://127.0.0.1:${port}`,
    replace: async () => {
      await stop();
      await start();
    },
    memory: () => Number(readFileSync(`/proc/${current?.pid}/statm`, 'utf8').split(' ')[1]) * PAGE,
    closes: async () => {
      const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
      const found = text.matchAll(/^carillon_connections_closed_total\{code="(\d+)"\} (\d+)$/gm);
      return new Map([...found].map(([, code, times]) => [Number(code), Number(times)]));
    },
    output: () => written + (current?.output() ?? ''),
    isAlive: () => isAlive,
    stop,
  };
}

/** Everything but the gateway in one process, a gateway with an environment of its own in another, and stores to queue by and look into. Ended by what `later` was given. */
export async function startWorld(redis: TestRedis, later: (end: () => unknown) => void, ofGateway: Record<string, string> = {}) {
  const place = { redisUrl: redis.url };
  const stores = await openStores(place);
  later(() => stores.close());
  await stores.templates.register(hello);
  const { process, http } = await startStandalone(place);
  later(() => end(process));
  const gateway = await startMortalGateway(redis.url, ofGateway);
  later(() => gateway.stop());
  return { place, stores, http, gateway };
}

/** A client of each user, connected. Ended by what `later` was given. */
export async function gather(
  users: readonly string[],
  url: string,
  later: (end: () => unknown) => void,
): Promise<Map<string, FoldingClient>> {
  const clients = new Map(users.map((user) => [user, new FoldingClient({ url: () => url, token: () => tokenFor(user) })]));
  later(() => Promise.all([...clients.values()].map((client) => client.stop())));
  await allHere(clients.values());
  return clients;
}

/** Waits until every client is connected. */
export async function allHere(clients: Iterable<FoldingClient>): Promise<void> {
  const all = [...clients];
  const away = () => all.filter(({ isHere }) => !isHere).length;
  await waitFor(() => away() === 0, { timeout: 60_000, what: 'all clients to be here' });
}

/** Cuts all subscriptions there are, of all processes. */
export const cutSubscriptions = (redis: TestRedis) => askRedis(redis, 'CLIENT', 'KILL', 'TYPE', 'pubsub');

/** All of a user's notifications by HTTP, with the count of the same moment. */
export async function listedByHttp(http: string, userId: string): Promise<{ data: Notification[]; unreadCount: number }> {
  const data: Notification[] = [];
  const path = `${http}/v1/users/${encodeURIComponent(userId)}`;
  const get = async (what: string) => {
    const response = await fetch(`${path}/${what}`, { headers: { authorization: `Bearer ${apiKey}` } });
    expect(response.status).toBe(200);
    return response.json() as Promise<{ data: Notification[]; nextCursor: string | null; unreadCount: number }>;
  };
  let cursor = '';
  do {
    const page = await get(`notifications?limit=100${cursor}`);
    data.push(...page.data);
    cursor = page.nextCursor === null ? '' : `&cursor=${encodeURIComponent(page.nextCursor)}`;
  } while (cursor !== '');
  return { data, unreadCount: (await get('unread-count')).unreadCount };
}

/** Waits until every client has heard of all there is, and gives how long that took, ms. */
export async function settle(
  clients: Iterable<readonly [userId: string, client: FoldingClient]>,
  { inbox }: Pick<Stores, 'inbox'>,
): Promise<number> {
  const since = Date.now();
  let behind = [...clients];
  const isBehind = async ([userId, client]: readonly [string, FoldingClient]) => (await inbox.head(userId)).offset !== client.offset;
  await waitFor(
    async () => {
      const late = await Promise.all(behind.map(isBehind));
      behind = behind.filter((_, i) => late[i]);
      return behind.length === 0;
    },
    // The slowest way to heal is the check of a position, every 15 to 45 s.
    { timeout: 60_000, what: 'all clients to have heard of everything' },
  ).catch(async (cause) => {
    const late = behind.map(
      async ([userId, client]) => `${userId} ${client.offset} of ${(await inbox.head(userId)).offset}, ${client.isHere}`,
    );
    throw new Error(`who is late, and whether connected: ${(await Promise.all(late)).join('; ')}`, { cause });
  });
  return Date.now() - since;
}

/** Expects that a client's state is the server's, and that it was told each change once and in order. */
export async function expectEqual(userId: string, client: FoldingClient, http: string, { inbox }: Pick<Stores, 'inbox'>): Promise<void> {
  const { data, unreadCount } = await listedByHttp(http, userId);
  const head = await inbox.head(userId);
  const byId = (one: Notification, other: Notification) => (one.id < other.id ? -1 : 1);
  const told = {
    list: [...client.notifications.values()].toSorted(byId),
    unreadCount: client.unreadCount,
    epoch: client.epoch,
    offset: client.offset,
  };
  expect(told).toEqual({ list: data.toSorted(byId), unreadCount, epoch: head.epoch, offset: head.offset });
  expect([unreadCount, client.faults]).toEqual([head.unreadCount, []]);
}
