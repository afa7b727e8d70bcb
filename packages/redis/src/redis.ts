import type { CarillonError } from '@carillon/contracts';
import type { Cluster, Redis as Single } from 'ioredis';
import {
  type Client,
  connect,
  createClient,
  locate,
  nodeOptions,
  type RedisAddress,
  redisError,
  replyCode,
  type Temper,
} from './connection.js';
import { gathered } from './gather.js';
import { createKeys, hashTag, type Keys } from './keys.js';
import type { Pulse } from './line.js';
import type { Script } from './script.js';
import { clusterGround, openSubscriber, PULSE, type Subscriber, singleGround } from './subscriber.js';

type Argument = string | number;

/** One item of a batch: its keys (all in one slot) and its arguments. */
export interface Call {
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
}

/** What a batch gave for one item. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: CarillonError };

/** Items one script call works through at most: bounds how long Redis is busy with it (~0.6 ms). A full job is two calls. */
const CALLS_PER_SCRIPT = 50;

/** A Redis, single or cluster, with its key names. Close it when done. */
export interface Redis {
  readonly keys: Keys;
  readonly cluster: boolean;
  /** Whether a command sent now would reach Redis. */
  isReady(): boolean;
  /** Runs one command. @throws REDIS_UNAVAILABLE when Redis is away (at once if `prompt`), QUEUE_FULL, INTERNAL; see `redisError` */
  command<T>(name: string, ...args: Argument[]): Promise<T>;
  /** Runs a script once. @throws as `command` does */
  run<T>(script: Script, call: Call): Promise<T>;
  /**
   * Runs a script that works through many items: KEYS and ARGV of all items one after the other, ARGV[1] the number of items,
   * `shared` arguments after it. The script answers a list with one entry per item. Items of different slots go in calls of their own,
   * one pipeline per primary. Small batches that are under way at the same time share calls. An item at fault fails alone. Never throws; every
   * item has an outcome, in order.
   */
  batch<T>(script: Script, shared: readonly Argument[], calls: readonly Call[]): Promise<Outcome<T>[]>;
  /** Keys that match a pattern, some at a time, some perhaps twice; on a cluster those of all primaries. Goes through all keys there are. */
  scan(pattern: string, count: number): AsyncIterable<string[]>;
  /** The client itself, for a library that shares it (BullMQ). Who uses it must not close it. */
  readonly connection: Client;
  /**
   * Listens to channels, by connections of its own; see `Subscriber`. How soon a silent one is noticed may be said. On a cluster it asks this Redis
   * where channels live, so it is closed first.
   *
   * @throws REDIS_UNAVAILABLE if a single Redis cannot be reached within 10 s
   */
  subscriber(pulse?: Pulse): Promise<Subscriber>;
  close(): Promise<void>;
}

/**
 * Connects to Redis.
 *
 * @throws REDIS_UNAVAILABLE if it cannot be reached within 10 s.
 */
export async function createRedis(address: RedisAddress, options: { prefix: string; temper: Temper }): Promise<Redis> {
  const { urls, cluster } = await locate(address);
  const client = createClient(urls, cluster, options.temper);
  await connect(client);
  // A lost connection is told by the commands that fail; without a listener it would end the process.
  client.on('error', () => {});
  const commander = client as Single;

  const command = <T>(name: string, ...args: Argument[]) => guard(() => commander.call(name, ...args) as Promise<T>);
  const run = async <T>(script: Script, call: Call): Promise<T> => {
    const rest = [call.keys.length, ...call.keys, ...call.args];
    try {
      return (await commander.evalsha(script.sha, ...(rest as [number, ...string[]]))) as T;
    } catch (error) {
      if (replyCode(error) !== 'NOSCRIPT') throw redisError(error);
      return guard(() => commander.eval(script.source, ...(rest as [number, ...string[]])) as Promise<T>);
    }
  };

  const batch = gathered<Call, Outcome<unknown>>(
    (script, shared, calls) => runBatch(run, cluster, script, shared, calls),
    CALLS_PER_SCRIPT,
  );
  const reach = nodeOptions(urls, cluster);
  const ground = cluster ? clusterGround(client as Cluster, reach) : singleGround(reach);
  return {
    keys: createKeys(options.prefix),
    cluster,
    isReady: () => client.status === 'ready',
    command,
    run,
    batch: batch as Redis['batch'],
    scan: (pattern, count) => scan(cluster ? (client as Cluster).nodes('master') : [commander], pattern, count),
    connection: client,
    subscriber: (pulse = PULSE) => openSubscriber(ground, pulse),
    close: () => closeClient(client),
  };
}

async function guard<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw redisError(error);
  }
}

/** Positions of calls that may go into one script call. On a single Redis any may; on a cluster only those of one slot. */
function group(calls: readonly Call[], cluster: boolean): number[][] {
  const groups = new Map<string, number[]>();
  const full: number[][] = [];
  calls.forEach((call, index) => {
    const tag = cluster ? hashTag(call.keys[0] as string) : '';
    const open = groups.get(tag);
    if (!open || open.length === CALLS_PER_SCRIPT) {
      const fresh = [index];
      groups.set(tag, fresh);
      full.push(fresh);
    } else open.push(index);
  });
  return full;
}

async function runBatch<T>(
  run: Redis['run'],
  cluster: boolean,
  script: Script,
  shared: readonly Argument[],
  calls: readonly Call[],
): Promise<Outcome<T>[]> {
  const outcomes = new Array<Outcome<T>>(calls.length);
  const attempt = async (positions: number[]): Promise<void> => {
    const keys: string[] = [];
    const args: Argument[] = [positions.length, ...shared];
    for (const position of positions) {
      const call = calls[position] as Call;
      keys.push(...call.keys);
      args.push(...call.args);
    }
    try {
      const values = await run<T[]>(script, { keys, args });
      positions.forEach((position, i) => {
        outcomes[position] = { ok: true, value: values[i] as T };
      });
    } catch (thrown) {
      const error = redisError(thrown);
      // One bad item breaks the whole call, so each is tried alone; a Redis that is away or full fails them all the same way at once.
      if (positions.length > 1 && error.code === 'INTERNAL') await Promise.all(positions.map((position) => attempt([position])));
      else for (const position of positions) outcomes[position] = { ok: false, error };
    }
  };
  await Promise.all(group(calls, cluster).map(attempt));
  return outcomes;
}

async function* scan(nodes: readonly Single[], pattern: string, count: number): AsyncGenerator<string[]> {
  for (const node of nodes) {
    let cursor = '0';
    do {
      const [next, keys] = await guard(() => node.scan(cursor, 'MATCH', pattern, 'COUNT', count));
      yield keys;
      cursor = next;
    } while (cursor !== '0');
  }
}

/** Ends a client; waits for answers under way if the connection is up, else drops it. */
async function closeClient(client: Client): Promise<void> {
  if (client.status === 'end') return;
  if (client.status !== 'ready') return client.disconnect();
  await client.quit().catch(() => client.disconnect());
}
