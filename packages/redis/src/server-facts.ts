import type { Cluster, Redis as Single } from 'ioredis';
import { connect, createClient, locate, type RedisAddress, redisError, replyCode } from './connection.js';

/** The one policy under which nothing that waits is thrown away. */
const SAFE = 'noeviction';

/** What a Redis tells of itself. */
export interface ServerFacts {
  /** Such as `7.0.15`; undefined if it does not tell. Of a cluster, the first node's. */
  readonly version: string | undefined;
  /** Its `maxmemory-policy`; of a cluster that of the first node with another than `noeviction`. Undefined if it does not tell. */
  readonly evictionPolicy: string | undefined;
  /** Whether every address is spoken to by TLS. */
  readonly tls: boolean;
}

/**
 * Asks a Redis what it is, by INFO alone: managed ones have no CONFIG. A user who may not run INFO learns nothing. The connection is its own.
 *
 * @throws REDIS_UNAVAILABLE if it cannot be reached within 10 s; CONFIGURATION_INVALID.
 */
export async function serverFacts(address: RedisAddress): Promise<ServerFacts> {
  const { urls, cluster } = await locate(address);
  const client = createClient(urls, cluster, 'prompt');
  await connect(client);
  client.on('error', () => {});
  try {
    const nodes = cluster ? (client as Cluster).nodes('master') : [client as Single];
    const told = await Promise.all(nodes.map(infoOf));
    const policies = told.map((info) => fieldOf(info, 'maxmemory_policy'));
    return {
      version: fieldOf(told[0], 'redis_version'),
      evictionPolicy: policies.every((policy) => policy === SAFE) ? SAFE : policies.find((policy) => policy !== SAFE),
      tls: urls.every((url) => url.startsWith('rediss:')),
    };
  } finally {
    client.disconnect();
  }
}

async function infoOf(node: Single): Promise<string> {
  try {
    return await node.info();
  } catch (error) {
    if (replyCode(error) === 'NOPERM') return '';
    throw redisError(error);
  }
}

const fieldOf = (info: string | undefined, name: string) => info?.match(new RegExp(`^${name}:(\\S+)`, 'm'))?.[1];
