import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTokenIssuer } from '@carillon/access';
import { freePort, type RedisServer, redisBinary, startRedisServer } from '@carillon/embedded';
import { type AskableProcess, type GaugedProcess, type RoleProcess, startGaugedApp, startRole } from '../process.js';
import { REDIS_CONFIG } from '../system.js';
import { userOf } from './message.js';

/**
 * What serves sockets: our gateway; Socket.IO with its Redis adapter; and ws with a Redis channel per user, the plain yardstick. The
 * yardstick is published to in two ways, one of which stores the messages as well.
 */
export const servers = ['carillon', 'socket.io', 'plain'] as const;
export type ServerName = (typeof servers)[number];

/** Who is compared: a server with what publishes to it. */
export const socketSides = ['carillon', 'socket.io', 'plain', 'stored'] as const;
export type SocketSide = (typeof socketSides)[number];

/** A server that runs, with a Redis of its own, and what publishes to it by side. */
export interface SocketSystem {
  readonly redis: RedisServer;
  readonly server: GaugedProcess;
  readonly publishers: ReadonlyMap<SocketSide, AskableProcess>;
  /** Port of the server on 127.0.0.1. */
  readonly port: number;
  /** A token for each user, by number. */
  readonly tokens: readonly string[];
  /** Starts another process of this system, which is stopped with it. */
  start(role: string, argument: Readonly<Record<string, string>>): Promise<AskableProcess>;
  /** Starts the server again that was killed, and answers it. */
  restart(): Promise<GaugedProcess>;
  /** Rejects when a process ends by itself. */
  readonly crashed: Promise<never>;
  /** Ends all of it and removes its data. */
  close(): Promise<void>;
}

/** All clients come from a few addresses of one machine. How fast one gateway takes handshakes is a limit of its own. */
const FROM_ONE_PLACE = { NOTIFICATION_RATE_CONNECTIONS: '10000000/m', NOTIFICATION_CONNECTIONS_PER_IP: '1000000' };
/** Handshakes are limited in the storm only, which is what the limit is for. */
const ANY_RATE = { NOTIFICATION_RATE_HANDSHAKES: '1000000/s' };

/** Starts a server from nothing. With `limited`, it takes as many handshakes as it does by default. `profiles` is a folder for CPU profiles. */
export async function openSocketSystem(
  name: ServerName,
  options: { readonly users: number; readonly limited: boolean; readonly profiles: string | undefined },
): Promise<SocketSystem> {
  const dir = mkdtempSync(join(tmpdir(), 'carillon-bench-'));
  const redis = await startRedisServer({ binary: await redisBinary(), dir, config: REDIS_CONFIG });
  const processes: RoleProcess[] = [];
  let crash: (error: unknown) => void = () => {};
  const crashed = new Promise<never>((_, reject) => {
    crash = reject;
  });
  crashed.catch(() => undefined);
  const add = async <P extends RoleProcess>(starting: Promise<P>): Promise<P> => {
    const process = await starting;
    processes.push(process);
    process.crashed.catch(crash);
    return process;
  };
  const close = async () => {
    for (const process of [...processes].reverse()) await process.stop();
    await redis.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const port = await freePort();
    const secrets = { jwtSecret: randomBytes(32).toString('base64url'), encryptionKeys: `bench:${randomBytes(32).toString('base64')}` };
    const common = { redisUrl: redis.url, socketPort: String(port), users: String(options.users), ...secrets };
    const start: SocketSystem['start'] = (role, argument) =>
      add(startRole(role, { name: role, argument: { ...common, ...argument }, profiles: options.profiles }));
    const serve = () => add(name === 'carillon' ? startGateway(common, options) : startRelay(name, common, options.profiles));
    const server = await serve();
    const publishers = await startPublishers(name, start);
    const { issue } = createTokenIssuer(secrets);
    const tokens = await Promise.all(Array.from({ length: options.users }, async (_, index) => (await issue(userOf(index))).token));
    return { redis, server, publishers, port, tokens, start, restart: serve, crashed, close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Common = Readonly<Record<'redisUrl' | 'socketPort' | 'users' | 'jwtSecret' | 'encryptionKeys', string>>;

function startGateway(common: Common, { limited, profiles }: { limited: boolean; profiles: string | undefined }): Promise<GaugedProcess> {
  const env = {
    REDIS_URL: common.redisUrl,
    NOTIFICATION_ENCRYPTION_KEYS: common.encryptionKeys,
    NOTIFICATION_JWT_SECRET: common.jwtSecret,
    NOTIFICATION_WS_PORT: common.socketPort,
    ...FROM_ONE_PLACE,
    ...(limited ? {} : ANY_RATE),
  };
  return startGaugedApp('gateway', env, profiles);
}

function startRelay(name: 'socket.io' | 'plain', common: Common, profiles: string | undefined): Promise<GaugedProcess> {
  const file = name === 'plain' ? 'socket-server-plain' : 'socket-server-socketio';
  return startRole(file, { name: `${name} server`, argument: common, profiles });
}

async function startPublishers(name: ServerName, start: SocketSystem['start']): Promise<Map<SocketSide, AskableProcess>> {
  if (name === 'carillon') return new Map([[name, await start('socket-publisher-carillon', {})]]);
  if (name === 'socket.io') return new Map([[name, await start('socket-publisher-socketio', {})]]);
  return new Map([
    ['plain', await start('socket-publisher-plain', { stored: 'false' })],
    ['stored', await start('socket-publisher-plain', { stored: 'true' })],
  ]);
}
