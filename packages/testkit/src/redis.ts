import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askRedis, freePort, type RedisServer, redisBinary, startRedisServer } from '@carillon/embedded';
import { waitFor } from './wait-for.js';

/** Hash slots of a cluster (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/). */
const SLOTS = 16_384;
/** Milliseconds without an answer after which a test cluster's node counts as failed: short, tests wait for it. */
const NODE_TIMEOUT = 2_000;

/** Before the process id and a random part: the temporary folder of a server. */
const FOLDER = 'carillon-redis-';

/** A private server with its data in a temporary folder. Made by startRedis; call `stop` when done. */
export interface TestRedis extends RedisServer {
  /** Folder of its data, its configuration and its log. */
  readonly dir: string;
  /** Freezes it (SIGSTOP): it keeps its connections and answers nothing. */
  pause(): void;
  /** Lets it go on (SIGCONT). */
  resume(): void;
  /** Ends it, frozen or not. Its data is kept for `restart`; a later run of tests removes it. */
  stop(): Promise<void>;
}

/** Starts a Redis of one's own: append-only, `noeviction`, random password, free port. `config` are lines of redis.conf. */
export async function startRedis(options: { config?: string[]; password?: string } = {}): Promise<TestRedis> {
  sweep();
  const dir = mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`));
  const server = await startRedisServer({ binary: await redisBinary(), dir, ...options });
  const resume = () => signal(server.pid, 'SIGCONT');
  return {
    dir,
    url: server.url,
    port: server.port,
    password: server.password,
    get pid() {
      return server.pid;
    },
    kill: () => server.kill(),
    pause: () => signal(server.pid, 'SIGSTOP'),
    resume,
    stop() {
      resume();
      return server.stop();
    },
    restart() {
      resume();
      return server.restart();
    },
  };
}

/** A cluster on loopback. Made by startCluster; call `close` when done. */
export interface TestCluster {
  /** One URL per node. */
  readonly urls: string[];
  /** The primaries, then the replicas of the first, the second and so on. */
  readonly nodes: TestRedis[];
  close(): Promise<void>;
}

/**
 * Starts `size` nodes that share all slots evenly, with as many `replicas` each, and resolves when each says the cluster is well. Without replicas
 * nobody takes over for a dead node.
 */
export async function startCluster(size = 3, { replicas = 0 }: { replicas?: number } = {}): Promise<TestCluster> {
  const nodes: TestRedis[] = [];
  const close = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    const buses: number[] = [];
    // One password for all, as clients expect of a cluster.
    const password = randomBytes(16).toString('hex');
    const total = size * (1 + replicas);
    for (let index = 0; index < total; index++) {
      const bus = await freePort();
      buses.push(bus);
      const config = [`masterauth ${password}`, 'cluster-enabled yes', `cluster-node-timeout ${NODE_TIMEOUT}`, `cluster-port ${bus}`];
      nodes.push(await startRedis({ password, config }));
    }
    await introduce(nodes, size, buses);
    for (const node of nodes) await waitFor(() => isWell(node, total), { what: `the cluster to form, seen from port ${node.port}` });
    for (const [index, node] of nodes.slice(size).entries()) await replicate(node, nodes[Math.floor(index / replicas)] as TestRedis);
    return { urls: nodes.map((node) => node.url), nodes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Gives each of the first `size` nodes its share of the slots and introduces every node to the first. */
async function introduce(nodes: TestRedis[], size: number, buses: number[]): Promise<void> {
  const first = nodes[0];
  if (first === undefined) throw new RangeError('a cluster has at least one node');
  for (const [index, node] of nodes.entries()) {
    const from = Math.floor((index * SLOTS) / size);
    const to = Math.floor(((index + 1) * SLOTS) / size) - 1;
    if (index < size) await askRedis(node, 'CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    // Nodes that start with the same epoch would settle it among themselves first.
    await askRedis(node, 'CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
    if (index > 0) await askRedis(node, 'CLUSTER', 'MEET', '127.0.0.1', String(first.port), String(buses[0]));
  }
}

/** Makes a node the replica of another, and waits until it could take over. */
async function replicate(node: TestRedis, primary: TestRedis): Promise<void> {
  const id = (await askRedis(primary, 'CLUSTER', 'MYID')).match(/[0-9a-f]{40}/)?.[0] as string;
  await askRedis(node, 'CLUSTER', 'REPLICATE', id);
  const isLinked = async () => (await askRedis(node, 'INFO', 'replication')).includes('master_link_status:up');
  await waitFor(isLinked, { timeout: 20_000, what: `the replica on port ${node.port} to follow` });
}

async function isWell(node: TestRedis, size: number): Promise<boolean> {
  const info = await askRedis(node, 'CLUSTER', 'INFO');
  return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${size}\r`);
}

/** Removes the folders of processes that are gone: Jest's workers are never told that they exit. */
function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(name.startsWith(FOLDER) ? name.slice(FOLDER.length).split('-')[0] : 0);
    if (pid > 0 && !isRunning(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already: nothing to freeze or thaw.
  }
}

/** The two kinds of Redis that everything is to work on, for `describe.each(Object.entries(redisPlaces))`. Whoever starts one stops it. */
export const redisPlaces = {
  'one Redis': async () => {
    const server = await startRedis();
    return { url: server.url, stop: () => server.stop() };
  },
  'a cluster of three': async () => {
    const cluster = await startCluster(3);
    return { url: cluster.urls.join(','), stop: () => cluster.close() };
  },
};
