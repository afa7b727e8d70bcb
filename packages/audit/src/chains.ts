import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Redis } from '@carillon/redis';
import { SEGMENT } from './sink.js';
import { createStore } from './store.js';
import type { Chains } from './verify.js';

/** The chains in Redis. @throws REDIS_UNAVAILABLE, from each method */
export function chainsInRedis(redis: Redis): Chains {
  const store = createStore(redis);
  return {
    isWhole: false,
    async names() {
      const [growing, ended] = await Promise.all([store.registered(), store.ended(0)]);
      return [...new Set([...growing.map(({ head }) => head.writer), ...ended.map(({ writer }) => writer)])].sort();
    },
    records: store.all,
    heads: async () => (await store.registered()).map(({ head }) => head),
  };
}

/** The chains in a folder, one file of lines each. `isWhole` unless it holds an export of what was trimmed. */
export function chainsInFolder(folder: string, isWhole = true): Chains {
  return {
    isWhole,
    names: async () =>
      (await readdir(folder))
        .filter((file) => file.endsWith(SEGMENT))
        .map((file) => file.slice(0, -SEGMENT.length))
        .sort(),
    records: (writer) => linesOf(join(folder, `${writer}${SEGMENT}`)),
    heads: async () => [],
  };
}

/** Whole lines of a file; none if it is not there. What a writer that died left of its last line is no line. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = '';
  try {
    for await (const chunk of createReadStream(path, 'utf8')) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() as string;
      yield* lines;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
