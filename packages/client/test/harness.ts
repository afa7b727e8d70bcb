import { randomUUID } from 'node:crypto';
import { createServer, connect as dial, type Socket } from 'node:net';
import { createTokenIssuer, createTokenVerifier } from '@carillon/access';
import type { ChannelItem } from '@carillon/contracts';
import { createGateway, type GatewayOptions, type GatewayParts, listen } from '@carillon/gateway';
import { createMemoryInbox, type Inbox } from '@carillon/inbox';
import { noLog, noMetrics } from '@carillon/service';
import { waitFor } from '@carillon/testkit';
import { type Client, type ClientEvents, type ClientOptions, type ClientStorage, createClient } from '../src/index.js';

const jwtSecret = 'the secret of the tests of the client';
const issuer = createTokenIssuer({ jwtSecret });
const verifier = createTokenVerifier({ jwtSecret });

/** A token for a user that lives `ttlSeconds`. */
export const tokenFor = async (userId: string, ttlSeconds = 600) => (await issuer.issue(userId, ttlSeconds)).token;

/** A user nobody has had before, so that tests of one process share no channel. */
export const newUser = () => `user-${randomUUID()}`;

/** One rendered notification. */
export function item(userId: string, more: Partial<ChannelItem> = {}): ChannelItem {
  const common = {
    templateId: 't',
    priority: 'normal',
    createdAt: Date.now(),
    content: { title: 'a title', body: 'the body' },
    data: {},
  } as const;
  return { ...common, channels: ['in_app'], id: randomUUID(), userId, ...more };
}

/** Sockets between clients and a gateway, which can be cut, held back or refused. */
async function startProxy(target: number) {
  const pairs = new Set<[Socket, Socket]>();
  let isRefusing = false;
  let isHolding = false;
  let opened = 0;
  const server = createServer((client) => {
    opened++;
    client.on('error', () => {}).resume();
    if (isRefusing) return client.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n');
    const gateway = dial(target, '127.0.0.1');
    const pair: [Socket, Socket] = [client, gateway];
    pairs.add(pair);
    for (const [from, to] of [pair, [gateway, client] as const]) {
      from.on('data', (data) => isHolding || to.write(data));
      from.on('error', () => {});
      from.on('close', () => {
        to.destroy();
        pairs.delete(pair);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
  };
  return {
    port: (server.address() as { port: number }).port,
    /** Connections tried so far. */
    opened: () => opened,
    cut,
    refuse: (now: boolean) => {
      isRefusing = now;
      if (now) cut();
    },
    /** Lets nothing through either way, without a sign. */
    hold: (now: boolean) => {
      isHolding = now;
    },
    stop: () => {
      cut();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A gateway with the memory inbox, and clients of it through a proxy. */
export async function start(given: { inbox?: Inbox; options?: Partial<GatewayOptions>; parts?: Partial<GatewayParts> } = {}) {
  const inbox = given.inbox ?? createMemoryInbox({ maxItems: 500, retention: 86_400_000 });
  const gateway = createGateway(
    {
      inbox,
      verify: verifier.verify,
      revocations: { since: async (userIds) => userIds.map(() => 0) },
      audit: { note: () => {} },
      markAsRead: inbox.markAsRead,
      markAllAsRead: inbox.markAllAsRead,
      seats: { take: async () => true, giveBack() {} },
      log: noLog,
      metrics: noMetrics,
      ...given.parts,
    },
    { rateMessages: { count: 1_000_000, window: 60_000 }, ...given.options },
  );
  const listener = await listen(gateway, { port: 0, host: '127.0.0.1' });
  const proxy = await startProxy(listener.port);
  const url = `ws://127.0.0.1:${proxy.port}`;
  const clients: Client[] = [];
  const make = (options: Partial<ClientOptions>) => {
    const client = createClient({ url, share: false, ...options });
    clients.push(client);
    return client;
  };
  return {
    inbox,
    gateway,
    proxy,
    url,
    make,
    /** A client of a user that has its list. */
    async signIn(userId: string, options: Partial<ClientOptions> = {}) {
      const client = make({ getToken: () => tokenFor(userId), ...options });
      const heard = hear(client);
      client.connect();
      await isLoaded(client);
      return { client, heard };
    },
    /** Puts notifications into a user's inbox and gives their ids. */
    async append(userId: string, count = 1, more: Partial<ChannelItem> = {}) {
      const items = Array.from({ length: count }, () => item(userId, more));
      await inbox.append(items);
      return items.map(({ id }) => id);
    },
    /** Resolves when a client shows what the server would answer, for all of the inbox. */
    async isEqual(client: Client, userId: string) {
      await waitFor(
        async () => {
          const page = await inbox.page(userId, { limit: 100 });
          const { notifications, unreadCount } = client.snapshot;
          return unreadCount === page.unreadCount && JSON.stringify(notifications) === JSON.stringify(page.data);
        },
        { what: 'a client equal to the server' },
      );
    },
    async stop() {
      for (const client of clients) client.close();
      await proxy.stop();
      await listener.close();
      await gateway.close({ deadlineMs: 2000 });
    },
  };
}

/** All events of a client, by their names. */
export function hear(client: Client) {
  const heard: { [E in keyof ClientEvents]: ClientEvents[E][] } = { state: [], notification: [], change: [], closed: [], error: [] };
  for (const event of Object.keys(heard) as (keyof ClientEvents)[]) client.on(event, (value) => heard[event].push(value as never));
  return heard;
}

export const isLoaded = (client: Client) =>
  waitFor(() => client.snapshot.isLoaded && client.snapshot.state === 'connected', { what: 'the list' });

/** A storage that can be looked into. */
export function storageOf(kept = new Map<string, string>()): ClientStorage & { kept: Map<string, string> } {
  return {
    kept,
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}

/** Makes pauses of some lengths pass fast, until `restore`; and knows which timers are still to come of those set since. */
export function hasten(lengths: readonly number[], factor = 20) {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const open = new Set<unknown>();
  const setFast = (act: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) => {
    const run = () => {
      open.delete(timer);
      act(...given);
    };
    const timer = set(run, lengths.includes(ms) ? ms / factor : ms);
    open.add(timer);
    return timer;
  };
  const forget = (timer: never) => {
    open.delete(timer);
    clear(timer);
  };
  Object.assign(globalThis, { setTimeout: setFast, clearTimeout: forget });
  return { open, restore: () => void Object.assign(globalThis, { setTimeout: set, clearTimeout: clear }) };
}
