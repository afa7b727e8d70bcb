import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { email } from '@carillon/email';
import { askRedis, type RedisServer, redisBinary, startRedisServer } from '@carillon/embedded';
import { push } from '@carillon/push';
import { type AskableProcess, type RoleProcess, startApp, startRole } from './process.js';
import type { ProviderPlace, Taken } from './roles/provider.js';
import { quantile } from './stats.js';
import { REDIS_CONFIG } from './system.js';

/** Channels whose deliveries are measured. */
export const deliveryChannels = ['email', 'push'] as const;
export type DeliveryChannel = (typeof deliveryChannels)[number];

/** Carillon's worker, and the plainest that BullMQ's quick start and the provider's SDK make, with as many jobs at once. */
export const deliverySides = ['carillon', 'yardstick'] as const;
export type DeliverySide = (typeof deliverySides)[number];

/** One side working off what was queued for one channel. */
export interface DeliveryRun {
  readonly channel: DeliveryChannel;
  readonly side: DeliverySide;
  readonly count: number;
  readonly concurrency: number;
  /** Messages the provider took per second, once warm. */
  readonly perSecond: number;
  /** Connections, or HTTP/2 sessions, that brought 1,000 of them. */
  readonly connectionsPerThousand: number;
}

interface Options {
  readonly say: (line: string) => void;
  readonly profiles: string | undefined;
  readonly interrupted: Promise<never>;
}

/** Callers that queue at once. */
const CALLERS = 500;
/** Part of the messages after which a side counts as warm. */
const WARM_UP_SHARE = 0.1;
/** Milliseconds after the last message in which one too many would show. */
const SETTLE = 1_000;
/** Milliseconds between two looks. */
const POLL = 100;
/** Milliseconds without a message after which the rest counts as lost. */
const LOST = 30_000;

const concurrencies: Readonly<Record<DeliveryChannel, number>> = { email: email.concurrency, push: push.concurrency };

interface Site {
  readonly channel: DeliveryChannel;
  readonly redis: RedisServer;
  readonly provider: AskableProcess;
  readonly place: ProviderPlace;
  readonly profiles: string | undefined;
  /** Starts what will be stopped with the site. */
  readonly add: <P extends RoleProcess>(starting: Promise<P>) => Promise<P>;
}

/** Queues `count` messages, starts a worker, and watches the provider. @throws Error when one is lost or comes twice, or a process dies */
export async function runDeliveries(channel: DeliveryChannel, side: DeliverySide, count: number, options: Options): Promise<DeliveryRun> {
  const dir = mkdtempSync(join(tmpdir(), 'carillon-bench-'));
  const redis = await startRedisServer({ binary: await redisBinary(), dir, config: REDIS_CONFIG });
  const processes: RoleProcess[] = [];
  let crash: (error: unknown) => void = () => {};
  const crashed = new Promise<never>((_, reject) => {
    crash = reject;
  });
  crashed.catch(() => undefined);
  const add: Site['add'] = async (starting) => {
    const process = await starting;
    processes.push(process);
    process.crashed.catch(crash);
    return process;
  };
  try {
    const work = async () => {
      const provider = await add(startRole('provider', { name: 'provider', argument: { channel }, profiles: undefined }));
      const place = await provider.ask<ProviderPlace>('place');
      const site = { channel, redis, provider, place, profiles: options.profiles, add };
      await (side === 'carillon' ? startCarillon(site, count) : startYardstick(site, count));
      return watch(site, side, count, options.say);
    };
    return await Promise.race([work(), crashed, options.interrupted]);
  } finally {
    for (const process of processes.reverse()) await process.stop();
    await redis.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The product's own path: queued by a producer, rendered; then the channel's worker starts. */
async function startCarillon({ channel, redis, place, profiles, add }: Site, count: number): Promise<void> {
  const encryptionKeys = `bench:${randomBytes(32).toString('base64')}`;
  const argument = { redisUrl: redis.url, encryptionKeys, channel };
  const env = { REDIS_URL: redis.url, NOTIFICATION_ENCRYPTION_KEYS: encryptionKeys, NOTIFICATION_PUBLIC_URL: 'https://bench.example' };
  const sender = await add(startRole('carillon-sender', { name: 'sender', argument, profiles: undefined }));
  await sender.ask('burst', { count, callers: CALLERS });
  const renderer = await add(startApp('renderer', env, undefined));
  while ((await waitingToBeRendered(redis)) > 0) await sleep(POLL);
  await renderer.stop();
  await add(startApp(channel, { ...env, ...place.env }, profiles, place.imports));
}

async function waitingToBeRendered(redis: RedisServer): Promise<number> {
  const key = 'notification:{render-0}:render-0';
  const [prioritized, active] = await Promise.all([
    askRedis(redis, 'ZCARD', `${key}:prioritized`),
    askRedis(redis, 'LLEN', `${key}:active`),
  ]);
  return Number(prioritized) + Number(active);
}

async function startYardstick({ channel, redis, place, profiles, add }: Site, count: number): Promise<void> {
  const argument = { redisUrl: redis.url, concurrency: String(concurrencies[channel]) };
  const sender = await add(startRole('yardstick-sender', { name: 'yardstick sender', argument, profiles: undefined }));
  await sender.ask('burst', { count });
  await add(startRole(`yardstick-${channel}`, { name: `yardstick ${channel}`, argument, profiles, ...place }));
}

/** Waits until the provider has all. */
async function watch({ channel, provider }: Site, side: DeliverySide, count: number, say: (line: string) => void): Promise<DeliveryRun> {
  let before = -1;
  for (let since = Date.now(); before < count; await sleep(POLL)) {
    const taken = await provider.ask<number>('count');
    if (taken > before) since = Date.now();
    before = taken;
    if (Date.now() - since > LOST) throw new Error(`${side}: ${count - taken} of ${count} messages by ${channel} were not sent`);
  }
  await sleep(SETTLE);
  const { at, connections } = await provider.ask<Taken>('take');
  if (at.length !== count) throw new Error(`${side}: ${at.length} messages by ${channel} were sent instead of ${count}`);
  const warm = at.slice(Math.floor(count * WARM_UP_SHARE));
  const seconds = (quantile(warm, 1) - quantile(warm, 0)) / 1e3;
  const perSecond = (warm.length - 1) / seconds;
  say(`${side.padEnd(9)} ${channel}: ${count} sent, ${Math.round(perSecond)}/s`);
  return { channel, side, count, concurrency: concurrencies[channel], perSecond, connectionsPerThousand: (connections / count) * 1000 };
}
