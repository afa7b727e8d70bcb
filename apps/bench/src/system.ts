import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTokenIssuer } from '@carillon/access';
import { freePort, type RedisServer, redisBinary, startRedisServer } from '@carillon/embedded';
import { type AskableProcess, type RoleProcess, startApp, startRole } from './process.js';
import { USERS, userName } from './workload.js';

/**
 * What is compared: Carillon, the plainest pipeline one would write with BullMQ as its quick start shows it, and the same tuned by somebody
 * who knows BullMQ (concurrency, jobs removed, one round trip), still one job per notification and stage.
 */
export const sides = ['carillon', 'yardstick', 'tuned'] as const;
export type Side = (typeof sides)[number];

/** The processes of a side, by what they do. Both have the same. */
export const roles = ['producer', 'renderer', 'in-app', 'gateway', 'client'] as const;
export type RoleName = (typeof roles)[number];

/** One side, running: its own Redis, a process per role, every user's socket connected. */
export interface System {
  readonly side: Side;
  readonly redis: RedisServer;
  readonly producer: AskableProcess;
  readonly client: AskableProcess;
  readonly processes: readonly RoleProcess[];
  /** Rejects when a process ends by itself. */
  readonly crashed: Promise<never>;
  /** Ends all of it and removes its data. */
  close(): Promise<void>;
}

interface Setting {
  readonly redisUrl: string;
  readonly socketPort: string;
  readonly profiles: string | undefined;
  /** Starts what will be stopped with the system. */
  readonly add: <P extends RoleProcess>(starting: Promise<P>) => Promise<P>;
}

/**
 * Append-only as in production, but never rewritten meanwhile: a rewrite takes a core for a while, and whether one falls into what is
 * measured hangs on all that was written before.
 */
export const REDIS_CONFIG = ['auto-aof-rewrite-percentage 0'];

/** Starts a side from nothing. `profiles` is a folder for CPU profiles. */
export async function openSystem(side: Side, profiles: string | undefined): Promise<System> {
  const dir = mkdtempSync(join(tmpdir(), 'carillon-bench-'));
  const redis = await startRedisServer({ binary: await redisBinary(), dir, config: REDIS_CONFIG });
  const processes: RoleProcess[] = [];
  const close = async () => {
    for (const process of [...processes].reverse()) await process.stop();
    await redis.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const socketPort = String(await freePort());
    const add: Setting['add'] = async (starting) => {
      const process = await starting;
      processes.push(process);
      return process;
    };
    const setting: Setting = { redisUrl: redis.url, socketPort, profiles, add };
    const { producer, tokens } = side === 'carillon' ? await startCarillon(setting) : await startYardstick(setting, side === 'tuned');
    const client = await add(startRole('client', { name: 'client', argument: {}, profiles }));
    await client.ask('connect', { url: `ws://127.0.0.1:${socketPort}`, tokens });
    const crashed = Promise.race(processes.map((process) => process.crashed));
    crashed.catch(() => undefined);
    return { side, redis, producer, client, processes, crashed, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const users = Array.from({ length: USERS }, (_, index) => userName(index));

async function startCarillon({ redisUrl, socketPort, profiles, add }: Setting) {
  const encryptionKeys = `bench:${randomBytes(32).toString('base64')}`;
  const jwtSecret = randomBytes(32).toString('base64url');
  const env = { REDIS_URL: redisUrl, NOTIFICATION_ENCRYPTION_KEYS: encryptionKeys };
  const argument = { redisUrl, encryptionKeys };
  const producer = await add(startRole('carillon-producer', { name: 'producer', argument, profiles }));
  await add(startApp('renderer', env, profiles));
  await add(startApp('in-app', env, profiles));
  await add(startApp('gateway', { ...env, NOTIFICATION_JWT_SECRET: jwtSecret, NOTIFICATION_WS_PORT: socketPort }, profiles));
  const { issue } = createTokenIssuer({ jwtSecret });
  const tokens = await Promise.all(users.map(async (user) => (await issue(user)).token));
  return { producer, tokens };
}

async function startYardstick({ redisUrl, socketPort, profiles, add }: Setting, tuned: boolean) {
  const start = (name: RoleName) =>
    add(startRole(`yardstick-${name}`, { name: `yardstick ${name}`, argument: { redisUrl, socketPort, tuned: String(tuned) }, profiles }));
  const producer = await start('producer');
  for (const name of ['renderer', 'in-app', 'gateway'] as const) await start(name);
  return { producer, tokens: users };
}
