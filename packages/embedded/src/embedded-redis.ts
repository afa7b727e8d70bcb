import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CarillonError } from '@carillon/contracts';
import { redisBinary } from './binary.js';
import type { DataDir } from './data-dir.js';
import { replaceFile } from './files.js';
import { heldGeneration, type Lock, takeLock } from './lock.js';
import { identify, isAlive, type ProcessIdentity } from './process-identity.js';
import { type RedisServer, startRedisServer } from './redis-server.js';
import { askRedis } from './resp.js';

/** Milliseconds between two looks at a lock somebody else holds. */
const POLL = 50;
/** Milliseconds between two looks, once joined, at whether the owner still lives. */
const WATCH = 500;
/** Milliseconds to wait for a living owner: it may have to install Redis first. */
const JOIN_TIMEOUT = 300_000;
/** Milliseconds a server without owner has to end before it is made to. */
const LEFTOVER_GRACE = 3_000;

/** The checkout's Redis, as this process has it. */
export interface EmbeddedRedis {
  readonly url: string;
  /** Whether the server belongs to this process. One that joined becomes the owner, same URL, when the owner goes first. */
  readonly owner: boolean;
  /** Gives it up; by the owner, ends the server cleanly. May be called twice. */
  close(): Promise<void>;
}

/** What `redis.json` holds, for the processes that join and for the next owner. */
interface Announcement {
  url: string;
  port: number;
  password: string;
  /** The holding of the lock it belongs to. */
  generation: number;
  /** The server process. */
  pid: number;
  started: string;
}

/**
 * The private Redis of a checkout: started by the first process that asks, joined by the others, dead when its owner is, however that
 * one ends; started again when it dies alone. Data, port and password outlive it in the data folder. Installs Redis if there is none
 * (see redisBinary); `log` hears what takes time. The caller closes it.
 *
 * @throws CarillonError REDIS_UNAVAILABLE if it can neither be started nor joined.
 */
export async function embeddedRedis(data: Pick<DataDir, 'path'>, options: { log?: (line: string) => void } = {}): Promise<EmbeddedRedis> {
  const log = options.log ?? (() => undefined);
  const deadline = Date.now() + JOIN_TIMEOUT;
  while (Date.now() < deadline) {
    const lock = takeLock(lockOf(data.path));
    if (lock !== undefined) return owned(await own(data.path, lock, log));
    const url = await answering(data.path);
    if (url !== undefined) return joined(data.path, url, log);
    await sleep(POLL);
  }
  throw new CarillonError('REDIS_UNAVAILABLE', { message: `another process holds ${lockOf(data.path)} but its Redis does not answer` });
}

const lockOf = (path: string) => join(path, 'lock');
const announcementOf = (path: string) => join(path, 'redis.json');

/** A server with the lock that goes with it. */
interface Ownership {
  url: string;
  close(): Promise<void>;
}

/** Starts the server under the lock; lets go of the lock if that fails. */
async function own(path: string, lock: Lock, log: (line: string) => void): Promise<Ownership> {
  try {
    const before = readAnnouncement(path);
    if (before !== undefined) await endLeftover(before);
    const binary = await redisBinary(log);
    const server: RedisServer = await startRedisServer({
      binary,
      dir: join(path, 'redis'),
      revive: true,
      ...(before === undefined ? {} : { port: before.port, password: before.password }),
      onRevived: (pid) => announce(path, server, lock.generation, pid),
    });
    announce(path, server, lock.generation, server.pid);
    const close = async () => {
      await server.stop();
      lock.release();
    };
    return { url: server.url, close };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function owned(ownership: Ownership): EmbeddedRedis {
  let closing: Promise<void> | undefined;
  return { url: ownership.url, owner: true, close: () => (closing ??= ownership.close()) };
}

/** Joins, and takes over where the owner leaves: the others who joined keep working, too. */
function joined(path: string, url: string, log: (line: string) => void): EmbeddedRedis {
  let taking: Promise<Ownership | undefined> | undefined;
  let owner = false;
  const watch = setInterval(() => {
    const lock = taking === undefined ? takeLock(lockOf(path)) : undefined;
    if (lock === undefined) return;
    taking = own(path, lock, log).catch((error: unknown) => {
      log(`the embedded Redis could not be taken over: ${error instanceof Error ? error.message : String(error)}`);
      taking = undefined;
      return undefined;
    });
    void taking.then((ownership) => {
      owner = ownership !== undefined;
    });
  }, WATCH).unref();
  return {
    url,
    get owner() {
      return owner;
    },
    async close() {
      clearInterval(watch);
      await (await taking)?.close();
      owner = false;
    },
  };
}

/** The URL of the server of the lock's living holder, once it answers. */
async function answering(path: string): Promise<string | undefined> {
  const there = readAnnouncement(path);
  if (there === undefined || there.generation !== heldGeneration(lockOf(path))) return undefined;
  const answer = await askRedis(there, 'PING').catch(() => undefined);
  return answer === undefined ? undefined : there.url;
}

function announce(path: string, server: RedisServer, generation: number, pid: number): void {
  const { url, port, password } = server;
  const started = identify(pid)?.started ?? '';
  const announcement: Announcement = { url, port, password, generation, pid, started };
  replaceFile(announcementOf(path), `${JSON.stringify(announcement, null, 2)}\n`);
}

function readAnnouncement(path: string): Announcement | undefined {
  try {
    return JSON.parse(readFileSync(announcementOf(path), 'utf8')) as Announcement;
  } catch {
    return undefined;
  }
}

/** Waits for the last owner's server, which may still be writing its data, to be gone. */
async function endLeftover(server: ProcessIdentity): Promise<void> {
  const deadline = Date.now() + LEFTOVER_GRACE;
  while (isAlive(server)) {
    if (Date.now() > deadline) process.kill(server.pid, 'SIGKILL');
    await sleep(POLL);
  }
}
