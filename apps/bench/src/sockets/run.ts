import { setTimeout as sleep } from 'node:timers/promises';
import type { AskableProcess } from '../process.js';
import { readRedis } from '../redis-figures.js';
import type { Memory } from '../role.js';
import type { Received } from '../roles/socket-client.js';
import { quantile } from '../stats.js';
import { openSocketSystem, type ServerName, type SocketSide, type SocketSystem } from './system.js';

/** How long each side is measured. */
export interface SocketPlan {
  /** Seconds of deliveries as fast as they go, after as many of `warmUpSeconds`. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** The steady load whose latency is measured. */
  readonly paced: { readonly perSecond: number; readonly seconds: number };
}

/** CPU of a delivery, µs, by process. */
export interface DeliveryCost {
  readonly server: number;
  readonly publisher: number;
  readonly redis: number;
  readonly client: number;
}

/** What an idle authenticated socket takes of the server's memory, without what the kernel keeps for it, bytes. */
export interface SocketMemory {
  readonly residentBytes: number;
  readonly heapBytes: number;
}

/** One side with so many sockets, once. */
export interface SocketRun {
  readonly side: SocketSide;
  readonly sockets: number;
  readonly redisVersion: string;
  /** Sockets connected and authenticated per second, one after the other in 50 rows. */
  readonly connectedPerSecond: number;
  /** CPU of the server for each of them, µs. */
  readonly connectCost: number;
  readonly memory: SocketMemory;
  /** When deliveries were counted, microseconds on the clock that CPU profiles use as well. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly deliveredPerSecond: number;
  readonly cost: DeliveryCost;
  /** Bytes of frames a client got for each message. */
  readonly bytesPerDelivery: number;
  /** Milliseconds from publishing to arrival, under the steady load. */
  readonly latency: { readonly samples: number; readonly p50: number; readonly p99: number };
}

export interface RunOptions {
  readonly say: (line: string) => void;
  readonly profiles: string | undefined;
  readonly interrupted: Promise<never>;
}

/** Part of the sockets that are there before memory is read first: what a process takes for itself once it has sockets at all is no socket's. */
const FIRST_SHARE = 0.1;
/** Milliseconds after which what a server does once sockets have come or gone is done. */
const SETTLE = 500;
/** Milliseconds without an arrival after which the rest counts as lost. */
const LOST = 10_000;

/** Starts a server from nothing, connects the sockets and has all that publish to it publish. @throws Error when a message is lost or a process dies */
export async function runSockets(name: ServerName, sockets: number, plan: SocketPlan, options: RunOptions): Promise<SocketRun[]> {
  const system = await openSocketSystem(name, { users: sockets, limited: false, profiles: options.profiles });
  try {
    return await Promise.race([measure(system, name, plan, options.say), system.crashed, options.interrupted]);
  } finally {
    await system.close();
  }
}

async function measure(system: SocketSystem, name: ServerName, plan: SocketPlan, say: (line: string) => void): Promise<SocketRun[]> {
  const client = await system.start('socket-client', { speech: name === 'socket.io' ? name : 'frames' });
  const idle = await measureIdle(system, client);
  const runs: SocketRun[] = [];
  for (const [side, publisher] of system.publishers) {
    const credit = await publisher.ask<number>('creditPort');
    await client.ask('credit', credit);
    const counted = new Count(client);
    await publisher.ask('round');
    await counted.reach(system.tokens.length);
    const fast = await measureSaturated(system, client, publisher, plan);
    await counted.reach(await publisher.ask<number>('stop'));
    const latency = await measureLatency(client, publisher, counted, plan);
    const run = { side, sockets: system.tokens.length, ...idle, ...fast, latency };
    runs.push(run);
    const figures = `${Math.round(run.deliveredPerSecond)} delivered/s, ${(run.memory.residentBytes / 1024).toFixed(1)} KiB a socket`;
    say(`${side.padEnd(9)} ${run.sockets} sockets: ${figures}, p99 ${latency.p99.toFixed(1)} ms`);
  }
  return runs;
}

/** Connects all sockets; what those beyond the first tenth take of memory, and how fast they came. */
async function measureIdle(
  { server, tokens }: SocketSystem,
  client: AskableProcess,
): Promise<Pick<SocketRun, 'memory' | 'connectedPerSecond' | 'connectCost'>> {
  const first = Math.ceil(tokens.length * FIRST_SHARE);
  await client.ask('connect', tokens.slice(0, first));
  await sleep(SETTLE);
  const before = await server.memory();
  const usedBefore = await server.usage();
  const startedAt = performance.now();
  await client.ask('connect', tokens.slice(first));
  const seconds = (performance.now() - startedAt) / 1000;
  await sleep(SETTLE);
  const used = (await server.usage()).cpuSeconds - usedBefore.cpuSeconds;
  const after = await server.memory();
  const count = tokens.length - first;
  const per = (part: keyof Memory) => (after[part] - before[part]) / count;
  return {
    connectedPerSecond: count / seconds,
    connectCost: (used / count) * 1e6,
    memory: { residentBytes: per('residentBytes'), heapBytes: per('heapBytes') },
  };
}

/** Waits for what a publisher published, of which the client has got more already from others. */
class Count {
  readonly #client: AskableProcess;
  readonly #base: Promise<Received>;

  constructor(client: AskableProcess) {
    this.#client = client;
    this.#base = client.ask<Received>('received');
  }

  /** @throws Error when fewer or more than `count` have come since */
  async reach(count: number): Promise<void> {
    const all = (await this.#base).messages + count;
    const lost = sleep(LOST, undefined, { ref: false });
    await Promise.race([this.#client.ask('waitFor', all), lost]);
    const { messages } = await this.#client.ask<Received>('received');
    if (messages !== all) throw new Error(`${messages - all + count} messages arrived instead of ${count}`);
  }
}

async function measureSaturated(
  system: SocketSystem,
  client: AskableProcess,
  publisher: AskableProcess,
  { seconds, warmUpSeconds }: SocketPlan,
): Promise<Pick<SocketRun, 'redisVersion' | 'startedAt' | 'endedAt' | 'deliveredPerSecond' | 'cost' | 'bytesPerDelivery'>> {
  await publisher.ask('saturate');
  await sleep(warmUpSeconds * 1000);
  const before = await takeStock(system, client, publisher);
  await sleep(seconds * 1000);
  const after = await takeStock(system, client, publisher);
  const count = after.received.messages - before.received.messages;
  const cpu = (name: keyof DeliveryCost) => ((after.cpuSeconds[name] - before.cpuSeconds[name]) / count) * 1e6;
  const [startedAt, endedAt] = [before.received.at, after.received.at];
  return {
    redisVersion: after.redisVersion,
    startedAt,
    endedAt,
    deliveredPerSecond: (count / (endedAt - startedAt)) * 1e6,
    cost: { server: cpu('server'), publisher: cpu('publisher'), redis: cpu('redis'), client: cpu('client') },
    bytesPerDelivery: (after.received.bytes - before.received.bytes) / count,
  };
}

async function takeStock({ redis, server }: SocketSystem, client: AskableProcess, publisher: AskableProcess) {
  const [received, ofServer, ofPublisher, ofClient, figures] = await Promise.all([
    client.ask<Received>('received'),
    server.usage(),
    publisher.usage(),
    client.usage(),
    readRedis(redis),
  ]);
  const cpuSeconds = {
    server: ofServer.cpuSeconds,
    publisher: ofPublisher.cpuSeconds,
    client: ofClient.cpuSeconds,
    redis: figures.cpuSeconds,
  };
  return { received, redisVersion: figures.version, cpuSeconds };
}

async function measureLatency(client: AskableProcess, publisher: AskableProcess, counted: Count, { paced }: SocketPlan) {
  await client.ask('watchLatency');
  await counted.reach(await publisher.ask<number>('paced', paced));
  const all = await client.ask<Float64Array>('takeLatencies');
  // The first second warms up.
  const times = all.subarray(Math.min(paced.perSecond, all.length / 2));
  return { samples: times.length, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}
