import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { createTokenIssuer } from '@carillon/access';
import { type ChannelModule, startChannel } from '@carillon/channel';
import type { Notification, NotificationRequest } from '@carillon/contracts';
import { createDeliveries, type Deliveries } from '@carillon/deliveries';
import { createDirectory, type Directory } from '@carillon/directory';
import { createInbox, type Inbox } from '@carillon/inbox';
import { createProducer, type Producer } from '@carillon/producer';
import { openQueueViews, type QueueViews } from '@carillon/queue';
import { createRedis, type Redis } from '@carillon/redis';
import { runRenderer } from '@carillon/renderer';
import { configFromOptions, noLog, type Options } from '@carillon/service';
import { createTemplates, type Templates } from '@carillon/templates';
import { type SpawnedProcess, spawnProcess, TestClient, waitFor } from '@carillon/testkit';
import { connectVault, type Vault } from '@carillon/vault';
import { afterAll, afterEach, expect } from '@jest/globals';
import { NotificationService, type NotificationServiceOptions } from '../src/index.js';

export const jwtSecret = randomBytes(32).toString('base64url');
export const apiKey = `sk_${randomBytes(16).toString('hex')}`;
export const encryptionKeys = `test:${randomBytes(32).toString('base64')}`;

const issuer = createTokenIssuer({ jwtSecret });
/** A client token signed with the secret of these tests. */
export const tokenFor = async (userId: string, ttlSeconds = 600) => (await issuer.issue(userId, ttlSeconds)).token;

/** A template that every test may queue: `hello`, one tag. */
export const hello = { id: 'hello', title: 'Hello {{name}}', body: 'Your number is {{name}}.', channels: ['in_app' as const] };

/** A request by `hello`. */
export const greet = (userId: string, name: string, rest: Partial<NotificationRequest> = {}): NotificationRequest => ({
  userId,
  templateId: 'hello',
  data: { name },
  ...rest,
});

let prefixes = 0;
/** A prefix no other test of this file has, so that one Redis serves the whole file. */
export const newPrefix = () => `t${++prefixes}:`;

/** Notes what a test started; it is ended after the test (or after the file), last first. */
export function endings(when: 'each' | 'all' = 'each') {
  const list: (() => unknown)[] = [];
  const hook = when === 'each' ? afterEach : afterAll;
  hook(async () => {
    for (let end = list.pop(); end; end = list.pop()) await end();
  });
  return (end: () => unknown) => {
    list.push(end);
  };
}

interface Place {
  readonly redisUrl: string;
  readonly prefix?: string;
  readonly partitions?: number;
}

/** The environment of a process on this Redis. */
export function environmentOf({ redisUrl, prefix = 'notification:', partitions = 1 }: Place): Record<string, string> {
  return {
    REDIS_URL: redisUrl,
    REDIS_PREFIX: prefix,
    NOTIFICATION_PARTITIONS: String(partitions),
    NOTIFICATION_HTTP_PORT: '0',
    NOTIFICATION_WS_PORT: '0',
    NOTIFICATION_API_KEYS: `tests:${apiKey}`,
    NOTIFICATION_JWT_SECRET: jwtSecret,
    NOTIFICATION_ENCRYPTION_KEYS: encryptionKeys,
  };
}

const mainOf = (app: string) => fileURLToPath(new URL(`../../${app}/dist/main.js`, import.meta.url));

/** Starts the built main.js of an app. The caller ends it. */
export const startRole = (
  app: 'renderer' | 'in-app' | 'email' | 'push' | 'sms' | 'gateway' | 'standalone',
  place: Place,
  more: Record<string, string> = {},
  imports: string[] = [],
): SpawnedProcess => spawnProcess(mainOf(app), { env: { ...environmentOf(place), ...more }, imports });

/** Starts a fixture: a script of this folder, in a process of its own. The caller ends it. */
export const startFixture = (name: string, env: Record<string, string>, args: string[] = []): SpawnedProcess =>
  spawnProcess(fileURLToPath(new URL(`./fixtures/${name}.ts`, import.meta.url)), { env, args });

/** Ends a process at once and waits until it is gone. */
export async function end(process: SpawnedProcess): Promise<void> {
  process.kill('SIGKILL');
  await process.exited;
}

/** All roles in one process, and where they listen, once they do. */
export async function startStandalone(place: Place, more: Record<string, string> = {}) {
  const process = startRole('standalone', place, more);
  await process.ready(/^ready/m);
  const port = async (line: RegExp) => (await process.ready(line))[1];
  return {
    process,
    http: `http://127.0.0.1:${await port(/^api: +http:\/\/localhost:(\d+)$/m)}`,
    sockets: `ws://127.0.0.1:${await port(/^gateway: +ws:\/\/localhost:(\d+)$/m)}`,
  };
}

/** A gateway in a process of its own, and its address. */
export async function startGateway(place: Place) {
  const process = startRole('gateway', place);
  const [, port] = await process.ready(/"port":(\d+)[^\n]*gateway listening|gateway listening[^\n]*"port":(\d+)/);
  return { process, url: `ws://127.0.0.1:${port}` };
}

/** Asks the HTTP interface with the API key; a string body is sent as it is. */
export async function ask(url: string, method: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${apiKey}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  return { status: response.status, headers: response.headers, body: (text ? JSON.parse(text) : undefined) as any };
}

/** A service of the library on this Redis. The caller closes it. */
export const createService = ({ redisUrl, prefix, partitions }: Place, more: NotificationServiceOptions = {}) =>
  new NotificationService({
    redisUrl,
    ...(prefix !== undefined && { redisPrefix: prefix }),
    ...(partitions !== undefined && { partitions }),
    apiKeys: `tests:${apiKey}`,
    jwtSecret,
    encryptionKeys,
    logLevel: 'silent',
    ...more,
  });

/** What a test looks into Redis with, and queues by: a producer as a customer's backend has it. */
export interface Stores {
  readonly redis: Redis;
  readonly inbox: Inbox;
  readonly deliveries: Deliveries;
  readonly directory: Directory;
  readonly vault: Vault;
  readonly templates: Templates;
  readonly producer: Producer;
  readonly views: QueueViews;
  close(): Promise<void>;
}

/** Opens the stores on a connection of their own. The caller closes them. */
export async function openStores({ redisUrl, prefix = 'notification:', partitions = 1 }: Place): Promise<Stores> {
  const redis = await createRedis({ url: redisUrl }, { prefix, temper: 'prompt' });
  const vault = await connectVault({ encryptionKeys, redisPrefix: prefix }, { redis, defer: () => {} });
  const deliveries = createDeliveries({ redis, retention: 3_600_000 });
  const directory = createDirectory({ redis, vault });
  const inbox = createInbox({ redis, vault, limits: { maxItems: 500, retention: 3_600_000 }, onRead: deliveries.markRead });
  const templates = await createTemplates(redis);
  const producer = createProducer({ redis, vault, templates, deliveries, partitions });
  const views = await openQueueViews(redis, partitions);
  const close = async () => {
    await views.close();
    await producer.close();
    await templates.close();
    await inbox.close();
    await redis.close();
  };
  return { redis, inbox, deliveries, directory, vault, templates, producer, views, close };
}

/** Runs the renderer and one channel's worker in this process, with the real SDKs in it. Ended by the function returned. */
export async function runChannelHere({ redisUrl, prefix = 'notification:' }: Place, channel: ChannelModule, options: Options) {
  const redis = await createRedis({ url: redisUrl }, { prefix, temper: 'patient' });
  const vault = await connectVault({ encryptionKeys, redisPrefix: prefix }, { redis, defer: () => {} });
  const deliveries = createDeliveries({ redis, retention: 3_600_000 });
  const directory = createDirectory({ redis, vault });
  const templates = await createTemplates(redis);
  const parts = { redis, vault, deliveries, directory };
  const renderer = await runRenderer({ ...parts, templates, partitions: 1 });
  const worker = await startChannel(channel, { ...parts, config: configFromOptions(options), log: noLog, previewWithoutProvider: false });
  return async () => {
    await worker.close(1000);
    await renderer.close(1000);
    await templates.close();
    await redis.close();
  };
}

/** One delivery of a notification. */
export async function deliveryOf(stores: Pick<Stores, 'deliveries'>, id: string, channel: string) {
  const { deliveries } = await stores.deliveries.get(id);
  return deliveries.find((delivery) => delivery.channel === channel);
}

/** Waits until a delivery has a status, and gives it. */
export function settled(stores: Pick<Stores, 'deliveries'>, id: string, channel: string, status: string, timeout = 20_000) {
  return waitFor(
    async () => {
      const delivery = await deliveryOf(stores, id, channel);
      return delivery?.status === status && delivery;
    },
    { timeout, what: `${channel} of ${id} to be ${status}` },
  );
}

/** Every notification of a user, newest first. */
export async function allOf(inbox: Inbox, userId: string): Promise<Notification[]> {
  const all: Notification[] = [];
  let cursor: string | undefined;
  do {
    const page = await inbox.page(userId, { limit: 100, ...(cursor !== undefined && { cursor }) });
    all.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return all;
}

/** Ids by user, of what was acknowledged. */
export class Acknowledged {
  readonly byUser = new Map<string, string[]>();

  add(userId: string, id: string): void {
    const ids = this.byUser.get(userId) ?? [];
    ids.push(id);
    this.byUser.set(userId, ids);
  }

  get size(): number {
    return [...this.byUser.values()].reduce((sum, ids) => sum + ids.length, 0);
  }

  /** Whether all of it is in the inboxes. */
  async hasArrived(inbox: Inbox): Promise<boolean> {
    for (const [userId, ids] of this.byUser) {
      if ((await inbox.head(userId)).offset < ids.length) return false;
      const there = new Set((await allOf(inbox, userId)).map(({ id }) => id));
      if (ids.some((id) => !there.has(id))) return false;
    }
    return true;
  }

  /** Expects each acknowledged id once, no id twice as `new`, and logs without a gap. What was not acknowledged may be there too. */
  async expectOnce(inbox: Inbox): Promise<void> {
    for (const [userId, ids] of this.byUser) {
      const listed = (await allOf(inbox, userId)).map(({ id }) => id);
      expect(new Set(listed).size).toBe(listed.length);
      expect(ids.filter((id) => !listed.includes(id))).toEqual([]);
      const head = await inbox.head(userId);
      const log = await inbox.since(userId, { epoch: head.epoch, offset: 0 });
      if (!log.recovered) throw new Error(`the log of ${userId} (${head.offset} changes) cannot be had`);
      expect(log.changes.map(({ offset }) => offset)).toEqual(Array.from({ length: head.offset }, (_, i) => i + 1));
      const told = log.changes.flatMap((change) => (change.event === 'new' ? [change.notification.id] : []));
      expect(told).toHaveLength(new Set(told).size);
      expect(told.toSorted()).toEqual(listed.toSorted());
    }
  }
}

/** A client that has authenticated as this user, with the answer it got. The caller closes it. */
export async function signIn(url: string, userId: string, position: { epoch?: string; offset?: number } = {}, ttlSeconds = 600) {
  const client = await TestClient.connect(url);
  const answer = await client.authenticate(await tokenFor(userId, ttlSeconds), position);
  return { client, answer };
}

/** The changes a client was told, in order. */
export const changesOf = (client: TestClient) => client.frames.filter(({ type }) => type === 'notification' || type === 'allRead');

/** Ids a client was told of as new, in order. */
export const newIdsOf = (client: TestClient): string[] =>
  client.frames.filter(({ type, event }) => type === 'notification' && event === 'new').map(({ data }) => data.id as string);
