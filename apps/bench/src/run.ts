import { setTimeout as sleep } from 'node:timers/promises';
import type { Burst, Load, Pace } from './load.js';
import { type RedisFigures, readRedis } from './redis-figures.js';
import type { Arrivals } from './roles/client.js';
import { quantile } from './stats.js';
import { openSystem, type RoleName, roles, type Side, type System } from './system.js';

/** How much is sent. */
export interface Plan {
  readonly burst: Burst;
  readonly latency: { readonly perSecond: number; readonly warmUpSeconds: number; readonly seconds: number };
}

/** What a phase cost, per notification. */
export interface Cost {
  readonly redisCommands: number;
  readonly redisCpuMicroseconds: number;
  readonly redisBytes: number;
  /** Bytes of the append-only file. */
  readonly redisFileBytes: number;
  readonly cpuMicroseconds: Readonly<Record<RoleName, number>>;
  /** CPU of all roles but the client, and of Redis, together. */
  readonly serverCpuMicroseconds: number;
  /** Inside of scripts, too: a script's own time contains that of its commands. */
  readonly redisByCommand: Readonly<Record<string, { readonly calls: number; readonly microseconds: number }>>;
}

/** One side, once. */
export interface Run {
  readonly side: Side;
  readonly redisVersion: string;
  readonly burst: {
    /** Microseconds on the clock that CPU profiles use as well. */
    readonly startedAt: number;
    readonly seconds: number;
    readonly perSecond: number;
    /** Calls answered per second, until the last one. */
    readonly queuedPerSecond: number;
    readonly cost: Cost;
  };
  /** Milliseconds from call to arrival. */
  readonly latency: {
    readonly startedAt: number;
    readonly samples: number;
    readonly p50: number;
    readonly p95: number;
    readonly p99: number;
    readonly max: number;
    readonly cost: Cost;
  };
}

/** Part of a burst's count sent before it, so that both sides run warm. */
const WARM_UP_SHARE = 0.1;
/** Milliseconds after the last arrival in which what came twice would show, and what is left to be written is. */
const SETTLE = 1_000;
/** Milliseconds between two lines of progress. */
const PROGRESS = 1_000;
/** Milliseconds without an arrival after which the rest counts as lost. */
const LOST = 30_000;

/** Starts a side from nothing, sends it a burst and then a steady load, and ends it. @throws Error when one is lost or a process dies */
export async function runSide(
  side: Side,
  plan: Plan,
  options: { say: (line: string) => void; profiles: string | undefined; interrupted: Promise<never> },
): Promise<Run> {
  const system = await openSystem(side, options.profiles);
  try {
    return await Promise.race([measure(system, plan, options.say), system.crashed, options.interrupted]);
  } finally {
    await system.close();
  }
}

async function measure(system: System, { burst, latency }: Plan, say: (line: string) => void): Promise<Run> {
  const warmUp = Math.ceil(burst.count * WARM_UP_SHARE);
  await send(system, 'warm-up', { ask: 'burst', count: warmUp, callers: burst.callers }, () => {});
  const fast = await send(system, 'burst', { ask: 'burst', ...burst }, say);
  const pace: Pace = { perSecond: latency.perSecond, seconds: latency.warmUpSeconds + latency.seconds };
  const steady = await send(system, `${pace.perSecond}/s`, { ask: 'paced', count: pace.perSecond * pace.seconds, ...pace }, say);

  const startedAt = quantile(fast.load.calledAt, 0);
  const seconds = (quantile(fast.arrivals.at, 1) - startedAt) / 1e6;
  const times = latencies(steady, latency.warmUpSeconds * latency.perSecond);
  return {
    side: system.side,
    redisVersion: fast.redisVersion,
    burst: {
      startedAt,
      seconds,
      perSecond: burst.count / seconds,
      queuedPerSecond: burst.count / ((fast.load.endedAt - startedAt) / 1e6),
      cost: fast.cost,
    },
    latency: {
      startedAt: quantile(steady.load.calledAt, 0),
      samples: times.length,
      p50: quantile(times, 0.5),
      p95: quantile(times, 0.95),
      p99: quantile(times, 0.99),
      max: quantile(times, 1),
      cost: steady.cost,
    },
  };
}

/** Milliseconds from call to arrival of all notifications but the first `warmUp`. */
function latencies({ load, arrivals }: { load: Load; arrivals: Arrivals }, warmUp: number): number[] {
  const arrivedAt = new Map(arrivals.ids.map((id, index) => [id, arrivals.at[index] as number]));
  const calls = load.ids.map((id, index) => ({ id, calledAt: load.calledAt[index] as number }));
  calls.sort((a, b) => a.calledAt - b.calledAt);
  return calls.slice(warmUp).map(({ id, calledAt }) => ((arrivedAt.get(id) as number) - calledAt) / 1e3);
}

type Order = { readonly count: number } & (({ readonly ask: 'burst' } & Burst) | ({ readonly ask: 'paced' } & Pace));

/** Has a load sent and waits until all of it has arrived, exactly once. */
async function send(system: System, what: string, order: Order, say: (line: string) => void) {
  const { producer, client } = system;
  const before = await takeStock(system);
  const ended = new AbortController();
  const progress = reportProgress(system, what, order.count, say, ended.signal);
  const sent = Promise.all([producer.ask<Load>(order.ask, order), client.ask('waitFor', order.count)]);
  const [load] = await Promise.race([sent, progress]).finally(() => ended.abort());
  await sleep(SETTLE);
  const arrivals = await client.ask<Arrivals>('take');
  checkArrivals(load, arrivals);
  const after = await takeStock(system);
  return { load, arrivals, cost: costBetween(before, after, order.count), redisVersion: after.redis.version };
}

/** @throws Error unless every id that was queued has arrived once, and nothing else has */
export function checkArrivals(load: Pick<Load, 'ids'>, arrivals: Pick<Arrivals, 'ids'>): void {
  const queued = new Set(load.ids);
  const arrived = new Set(arrivals.ids);
  const lost = load.ids.filter((id) => !arrived.has(id)).length;
  const foreign = arrivals.ids.filter((id) => !queued.has(id)).length;
  const repeated = arrivals.ids.length - arrived.size;
  if (lost + foreign + repeated === 0) return;
  throw new Error(`of ${load.ids.length} notifications ${lost} were lost, ${repeated} came again, ${foreign} were not ours`);
}

/** Says every second how far it is. @throws Error when nothing has arrived for 30 s */
async function reportProgress(
  system: System,
  what: string,
  count: number,
  say: (line: string) => void,
  ended: AbortSignal,
): Promise<never> {
  let before = -1;
  let since = Date.now();
  for (;;) {
    await sleep(PROGRESS, undefined, { ref: false });
    if (ended.aborted) return new Promise<never>(() => {});
    const [queued, arrived] = await Promise.all([system.producer.ask<number>('queued'), system.client.ask<number>('arrived')]);
    if (ended.aborted) continue;
    say(`${system.side.padEnd(9)} ${what}: ${queued} queued, ${arrived} of ${count} arrived`);
    if (arrived > before) since = Date.now();
    before = arrived;
    if (Date.now() - since > LOST) throw new Error(`${system.side}: ${count - arrived} of ${count} notifications did not arrive`);
  }
}

interface Stock {
  readonly redis: RedisFigures;
  readonly cpuSeconds: readonly number[];
}

async function takeStock({ redis, processes }: System): Promise<Stock> {
  const usages = await Promise.all(processes.map((process) => process.usage()));
  return { redis: await readRedis(redis), cpuSeconds: usages.map(({ cpuSeconds }) => cpuSeconds) };
}

function costBetween(before: Stock, after: Stock, count: number): Cost {
  const per = (later: number, earlier: number | undefined) => (later - (earlier ?? 0)) / count;
  const cpu = after.cpuSeconds.map((seconds, index) => per(seconds, before.cpuSeconds[index]) * 1e6);
  const redisCpuMicroseconds = per(after.redis.cpuSeconds, before.redis.cpuSeconds) * 1e6;
  const byCommand = Object.entries(after.redis.byCommand).map(([name, { calls, microseconds }]) => {
    const earlier = before.redis.byCommand[name];
    return [name, { calls: per(calls, earlier?.calls), microseconds: per(microseconds, earlier?.microseconds) }] as const;
  });
  const servers = cpu.filter((_, index) => roles[index] !== 'client');
  return {
    redisCommands: per(after.redis.commands, before.redis.commands),
    redisCpuMicroseconds,
    redisFileBytes: per(after.redis.fileBytes, before.redis.fileBytes),
    redisBytes: per(after.redis.memoryBytes, before.redis.memoryBytes),
    cpuMicroseconds: Object.fromEntries(roles.map((name, index) => [name, cpu[index]])) as Record<RoleName, number>,
    serverCpuMicroseconds: servers.reduce((sum, value) => sum + value, redisCpuMicroseconds),
    redisByCommand: Object.fromEntries(
      byCommand.filter(([, { calls }]) => calls > 0).sort(([, a], [, b]) => b.microseconds - a.microseconds),
    ),
  };
}
