import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, relative } from 'node:path';
import { askRedis } from '@carillon/embedded';
import type { TestRedis } from './redis.js';
import { waitFor } from './wait-for.js';

/** Keys fetched per SCAN. */
const SCAN_COUNT = 1000;

/** What a Redis is told while it is listened to. Made by `overhear`; call `close` when done. */
export interface Overheard {
  /** Every command so far with its arguments, those that scripts call and those that publish included, as MONITOR writes them. */
  heard(): Buffer;
  close(): void;
}

/** Listens to all that a Redis is told from now on (https://redis.io/docs/latest/commands/monitor/). */
export async function overhear({ port, password }: Pick<TestRedis, 'port' | 'password'>): Promise<Overheard> {
  const chunks: Buffer[] = [];
  const socket = connect({ host: '127.0.0.1', port });
  let isBroken: unknown;
  socket.on('error', (error) => {
    isBroken = error;
  });
  socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
  socket.write(`AUTH ${password}\r\nMONITOR\r\n`);
  const heard = () => {
    if (isBroken) throw new Error('Redis hung up on its listener', { cause: isBroken });
    return Buffer.concat(chunks);
  };
  await waitFor(() => heard().toString().startsWith('+OK\r\n+OK\r\n'), { what: 'Redis to be listened to' });
  return { heard, close: () => socket.destroy() };
}

/** A Redis that is asked, seen no closer than needed. */
interface Asked {
  command<T>(name: string, ...args: (string | number)[]): Promise<T>;
}

/** How all of a value is read, by its type. */
const READ: Readonly<Record<string, readonly [command: string, ...args: string[]]>> = {
  string: ['GET'],
  list: ['LRANGE', '0', '-1'],
  hash: ['HGETALL'],
  set: ['SMEMBERS'],
  zset: ['ZRANGE', '0', '-1', 'WITHSCORES'],
  stream: ['XRANGE', '-', '+'],
};

/** Every key with all of its value as text. @throws Error for a value of a type that is not known here */
export async function redisValues(redis: Asked): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  let cursor = '0';
  do {
    const [next, keys] = await redis.command<[string, string[]]>('SCAN', cursor, 'COUNT', SCAN_COUNT);
    for (const key of keys) {
      const type = await redis.command<string>('TYPE', key);
      // It went between the two commands.
      if (type === 'none') continue;
      const [command, ...args] = READ[type] ?? [];
      if (command === undefined) throw new Error(`a value of type ${type} cannot be read`);
      values.set(key, JSON.stringify(await redis.command<unknown>(command, key, ...args)));
    }
    cursor = next;
  } while (cursor !== '0');
  return values;
}

/**
 * All files of a Redis: as they are, with what was appended step by step, and again once the append-only file is rewritten and an RDB file
 * saved. Start it with `rdbcompression no`, or texts in them are not contiguous.
 */
export async function redisFiles(redis: TestRedis): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const collect = (when: string) => {
    for (const entry of readdirSync(redis.dir, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) files.set(`${relative(redis.dir, path)} (${when})`, readFileSync(path));
    }
  };
  collect('as written');
  await askRedis(redis, 'BGREWRITEAOF');
  const rewritten = async () => /aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/.test(await askRedis(redis, 'INFO', 'persistence'));
  await waitFor(rewritten, { what: 'the append-only file to be rewritten' });
  await askRedis(redis, 'SAVE');
  collect('rewritten and saved');
  return files;
}
