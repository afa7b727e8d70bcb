import { readFileSync } from 'node:fs';
import { CarillonError } from '@carillon/contracts';
import { Cluster, type RedisOptions, Redis as Single } from 'ioredis';

/** Where Redis is. */
export interface RedisAddress {
  /**
   * `redis://` or `rediss://` with user and password; several, separated by commas, are nodes of one cluster. `?ca=<path>` behind a `rediss://`
   * address names a PEM file of the only authorities its certificate is trusted from; without it those of Node are.
   */
  readonly url: string;
  /** `true` for a cluster; `auto` asks the server; absent means: a cluster if `url` has several nodes. */
  readonly cluster?: boolean | 'auto' | undefined;
}

export type Client = Single | Cluster;

/**
 * How a connection behaves while Redis is away. `prompt`: commands fail at once, for callers who wait.
 * `patient`: commands wait until Redis is back, for workers.
 */
export type Temper = 'prompt' | 'patient';

/** The longest pause between attempts to reconnect, in ms: short, so that work moves again soon after Redis is back. */
const RECONNECT_CEILING_MS = 1000;
/** How long a prompt command may go unanswered, in ms, before it counts as lost. */
const COMMAND_TIMEOUT_MS = 5000;
/** Tries of one command on a cluster whose nodes change: with 250 ms between them, an hour. */
const PATIENT_REDIRECTIONS = 4 * 3600;
/** How long the first connection may take, in ms. */
const CONNECT_TIMEOUT_MS = 10_000;

const reconnectDelay = (times: number) => Math.min(50 * 2 ** Math.min(times, 5), RECONNECT_CEILING_MS);

function clientOptions(temper: Temper) {
  // RESP2 measured 15–25 % faster than RESP3 with this client and these reply shapes.
  const common = { protocol: 2 as const, connectTimeout: CONNECT_TIMEOUT_MS };
  return temper === 'prompt'
    ? { ...common, maxRetriesPerRequest: 1, commandTimeout: COMMAND_TIMEOUT_MS }
    : { ...common, maxRetriesPerRequest: null };
}

/** The addresses by themselves, and whether they are a cluster's: by the setting, by their number, or by what the server says. */
export async function locate({ url, cluster }: RedisAddress): Promise<{ urls: string[]; cluster: boolean }> {
  const urls = url.split(',').map((one) => one.trim());
  if (cluster !== 'auto') return { urls, cluster: cluster ?? urls.length > 1 };
  const probe = createClient(urls, false, 'prompt') as Single;
  await connect(probe);
  try {
    return { urls, cluster: /^cluster_enabled:1/m.test(await probe.info('cluster')) };
  } catch (error) {
    throw redisError(error);
  } finally {
    probe.disconnect();
  }
}

interface Node {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: object;
}

function parseNode(url: string): Node {
  const { protocol, hostname, port, username, password, searchParams } = new URL(url);
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 6379),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' && { tls: trusting(searchParams.get('ca')) }),
  };
}

/** @throws CONFIGURATION_INVALID if the file cannot be read */
function trusting(caFile: string | null): { ca?: string } {
  if (caFile === null) return {};
  try {
    return { ca: readFileSync(caFile, 'utf8') };
  } catch (cause) {
    throw new CarillonError('CONFIGURATION_INVALID', { message: 'REDIS_URL: the file named by ca= cannot be read', cause });
  }
}

/** Makes a client that is not connected yet. */
export function createClient(urls: string[], cluster: boolean, temper: Temper): Client {
  const nodes = urls.map(parseNode);
  const { host: _host, port: _port, ...credentials } = nodes[0] as Node;
  if (!cluster) {
    const database = Number(new URL(urls[0] as string).pathname.slice(1) || 0);
    return new Single({
      ...(nodes[0] as Node),
      ...clientOptions(temper),
      db: database,
      lazyConnect: true,
      enableOfflineQueue: temper === 'patient',
      retryStrategy: reconnectDelay,
    });
  }
  return new Cluster(nodes, {
    lazyConnect: true,
    enableOfflineQueue: temper === 'patient',
    clusterRetryStrategy: reconnectDelay,
    // The library groups what is sent in one tick into one pipeline per primary.
    enableAutoPipelining: true,
    slotsRefreshInterval: 30_000,
    // A fail-over takes seconds; whoever is patient waits for it.
    ...(temper === 'patient' && { maxRedirections: PATIENT_REDIRECTIONS, retryDelayOnFailover: 250, retryDelayOnClusterDown: 250 }),
    // A certificate names the host, not the address a node announces of itself.
    ...(credentials.tls && { dnsLookup: (address: string, done: (error: null, address: string) => void) => done(null, address) }),
    redisOptions: { ...credentials, ...clientOptions(temper) },
  });
}

/** How one node is reached. */
export type NodeOptions = Omit<RedisOptions, 'replyMapping'>;

/** How any one node is reached: of a cluster all but where it is, which the cluster tells. */
export function nodeOptions(urls: string[], cluster: boolean): NodeOptions {
  const { host, port, ...credentials } = parseNode(urls[0] as string);
  const common = { ...credentials, ...clientOptions('patient'), retryStrategy: reconnectDelay };
  return cluster ? common : { ...common, host, port };
}

/** Connects, or gives up after a while and throws REDIS_UNAVAILABLE with the reason as its cause. */
export async function connect(client: Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let lastError: unknown;
  const remember = (error: unknown) => {
    lastError = error;
  };
  client.on('error', remember);
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(lastError ?? new Error('no answer')), CONNECT_TIMEOUT_MS);
  });
  try {
    const connected = client.connect().catch(() => untilReady(client));
    await Promise.race([connected, timeout]);
  } catch (cause) {
    client.disconnect();
    throw new CarillonError('REDIS_UNAVAILABLE', {
      message: 'Redis cannot be reached at the configured address.',
      cause: lastError ?? cause,
    });
  } finally {
    clearTimeout(timer);
    client.off('error', remember);
  }
}

function untilReady(client: Client): Promise<void> {
  if (client.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    client.once('ready', () => resolve());
    client.once('end', () => reject(new Error('connection ended')));
  });
}

/** The code of an error Redis itself answered (`OOM`, `NOSCRIPT`, …): the first word of an error reply, by the Redis protocol. */
export function replyCode(error: unknown): string | undefined {
  return error instanceof Error && error.name === 'ReplyError' ? error.message.split(' ', 1)[0] : undefined;
}

/** Replies that say: no room to write. */
const FULL = new Set(['OOM', 'MISCONF']);
/** Replies that say: not now, or not this server. */
const AWAY = new Set(['READONLY', 'LOADING', 'CLUSTERDOWN', 'MASTERDOWN', 'TRYAGAIN', 'NOREPLICAS', 'BUSY']);
/** Whether an error reply may be another one before long: Redis is not ready, or another node is in charge. */
export const isPassing = (error: unknown): boolean => AWAY.has(replyCode(error) ?? '') || replyCode(error) === 'MOVED';

/** Pause suggested while Redis has no room, ms. */
const FULL_RETRY_MS = 1000;

/**
 * A failure of a command in our terms: QUEUE_FULL when Redis has no room, REDIS_UNAVAILABLE when it is away, is another's replica or is
 * just starting, INTERNAL when it refuses the command itself.
 */
export function redisError(error: unknown): CarillonError {
  if (error instanceof CarillonError) return error;
  const code = replyCode(error);
  if (code === undefined || AWAY.has(code)) return new CarillonError('REDIS_UNAVAILABLE', { cause: error });
  if (FULL.has(code)) return new CarillonError('QUEUE_FULL', { cause: error, retryAfter: FULL_RETRY_MS });
  return new CarillonError('INTERNAL', { cause: error });
}
