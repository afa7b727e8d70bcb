import { CarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { KeyStore } from '@carillon/vault';
import type { Entry } from './parts.js';

/** The log of erasures: those under way and those done, with the keys; and with the queues a copy of what was carried out there. */
export interface ErasureLog {
  begin(entry: Entry): Promise<void>;
  /** Writes changes to an erasure under way; answers it as it is then. Those of two who go on with it at the same time are merged. */
  change(id: string, changes: Partial<Entry>): Promise<Entry>;
  /** From here on it is done. */
  finish(entry: Entry): Promise<void>;
  /** It was carried out, or repeated, on this Redis. */
  carriedOut(entries: readonly Entry[]): Promise<void>;
  /** @throws ERASURE_NOT_FOUND */
  get(id: string): Promise<Entry>;
  underWay(): Promise<Entry[]>;
  /** Done, and not known to this Redis: it was restored from before. */
  lackingHere(): Promise<Entry[]>;
  /** Known to this Redis, and not to the key store: that one was restored from before. */
  lackingThere(): Promise<Entry[]>;
  /** Whether this Redis knows of fewer than before, or nobody has looked yet: only then the whole log has to be read. */
  isSuspicious(): Promise<boolean>;
}

const read = (text: string) => JSON.parse(text) as Entry;

export function openLog(redis: Redis, store: KeyStore): ErasureLog {
  let known: number | undefined;
  const here = async () => {
    const flat = await redis.command<string[]>('HGETALL', redis.keys.erasures);
    return Array.from({ length: flat.length / 2 }, (_, i) => read(flat[2 * i + 1] as string));
  };
  const all = async (shelf: 'erasure' | 'erased') => {
    const entries: Entry[] = [];
    for await (const some of store.all(shelf)) entries.push(...some.map(([, text]) => read(text)));
    return entries;
  };
  return {
    begin: async (entry) => void (await store.add('erasure', [[entry.id, JSON.stringify(entry)]])),
    async change(id, changes) {
      for (;;) {
        const [text] = await store.get('erasure', [id]);
        if (text == null) throw new CarillonError('ERASURE_NOT_FOUND', { field: 'id' });
        const next = { ...read(text), ...changes };
        if (await store.replace('erasure', id, text, JSON.stringify(next))) return next;
      }
    },
    async finish(entry) {
      await store.add('erased', [[entry.id, JSON.stringify(entry)]]);
      const [text] = await store.get('erasure', [entry.id]);
      if (text != null) await store.replace('erasure', entry.id, text, null);
    },
    async carriedOut(entries) {
      if (entries.length === 0) return;
      await redis.command('HSET', redis.keys.erasures, ...entries.flatMap((entry) => [entry.id, JSON.stringify(entry)]));
    },
    async get(id) {
      const [text] = (await store.get('erasure', [id])).concat(await store.get('erased', [id])).filter((one) => one != null);
      if (text == null) throw new CarillonError('ERASURE_NOT_FOUND', { field: 'id' });
      return read(text);
    },
    underWay: () => all('erasure'),
    async lackingHere() {
      const ids = new Set((await here()).map(({ id }) => id));
      return (await all('erased')).filter(({ id }) => !ids.has(id));
    },
    async lackingThere() {
      const entries = await here();
      const there = await store.get(
        'erased',
        entries.map(({ id }) => id),
      );
      return entries.filter((_, i) => there[i] == null);
    },
    async isSuspicious() {
      const count = await redis.command<number>('HLEN', redis.keys.erasures);
      const isFewer = known === undefined || count < known;
      known = count;
      return isFewer;
    },
  };
}
