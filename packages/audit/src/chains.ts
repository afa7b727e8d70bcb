import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import { type Head, isChainName, unseal } from './record.js';
import { SEGMENT, sinkOf } from './sink.js';
import { createStore, type Ending } from './store.js';
import type { Chains } from './verify.js';

/** The chains in Redis. @throws REDIS_UNAVAILABLE, from each method */
export function chainsInRedis(redis: Redis): Chains {
  const store = createStore(redis);
  return {
    isWhole: false,
    sinks: async () => [],
    names: async () => namesOf(await store.registered(), await store.ended(0)),
    records: store.all,
    heads: async () => (await store.registered()).map(({ head }) => head),
  };
}

/**
 * The chains in Redis as they are now, for a copy that verifies by itself while the system goes on: each ends where it ends now, so no anchor in it names
 * what comes later. `records` throws AUDIT_UNAVAILABLE if the chain was trimmed or removed before it was read: take them anew. @throws REDIS_UNAVAILABLE
 */
export async function chainsNow(redis: Redis): Promise<Chains> {
  const store = createStore(redis);
  // All heads in one answer, and before what has ended: a chain that ends meanwhile is in one of them.
  const heads = (await store.registered()).map(({ head }) => head);
  const names = namesOf(
    heads.map((head) => ({ head })),
    await store.ended(0),
  );
  const ends = new Map(heads.map(({ writer, seq }) => [writer, seq]));
  const gone = () => new CarillonError('AUDIT_UNAVAILABLE', { message: 'a chain was trimmed or removed while it was copied: begin anew' });
  return {
    isWhole: false,
    sinks: async () => [],
    names: async () => names,
    heads: async () => heads,
    async *records(writer) {
      const end = ends.get(writer) ?? Number.POSITIVE_INFINITY;
      let isThere = false;
      for await (const text of store.all(writer)) {
        isThere = true;
        const record = unseal(text);
        // One that cannot be read is copied as it is.
        if (!record || record.seq <= end) yield text;
        else if (record.action === 'trail.trimmed') throw gone();
      }
      if (!isThere) throw gone();
    },
  };
}

/** Names that no chain can have are nobody's. */
function namesOf(growing: readonly { head: Head }[], ended: readonly Ending[]): string[] {
  const names = new Set([...growing.map(({ head }) => head), ...ended].map(({ writer }) => writer));
  return [...names].filter(isChainName).sort();
}

/** The chains in folders, one file of lines each. `isWhole` unless they hold an export of what was trimmed. */
export function chainsInFolder(folder: string | readonly string[], isWhole = true): Chains {
  const folders = [folder].flat();
  return {
    isWhole,
    names: async () => {
      const files = (await Promise.all(folders.map((one) => readdir(one)))).flat().filter((file) => file.endsWith(SEGMENT));
      return [...new Set(files.map((file) => file.slice(0, -SEGMENT.length)))].sort();
    },
    async *records(writer) {
      if (isChainName(writer)) for (const one of folders) yield* linesOf(join(one, `${writer}${SEGMENT}`));
    },
    heads: async () => [],
    sinks: async () => (await Promise.all(folders.map(sinkOf))).flat(),
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
