import { CarillonError, toCarillonError } from '@carillon/contracts';
import { type Call, loadScript, type Outcome, type Redis } from '@carillon/redis';
import type { KeyStore, Shelf } from './key-store.js';

const script = (name: string) => loadScript(new URL(`../lua/${name}.lua`, import.meta.url));
const scripts = { get: script('get'), add: script('add'), replace: script('replace') };

/** Entries a scan of a shelf is asked for at a time. */
const SCAN_COUNT = 500;

/** A key store in a Redis. `isApart` says that it is another one than that of the queues, whose absence is told by its own code. */
export function redisKeyStore(redis: Redis, isApart: boolean): KeyStore {
  const fault = (thrown: unknown) => {
    const error = toCarillonError(thrown);
    return isApart ? new CarillonError('KEY_STORE_UNAVAILABLE', { cause: error }) : error;
  };
  const told = async <T>(run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      throw fault(error);
    }
  };
  const values = <T>(outcomes: readonly Outcome<T>[]) =>
    outcomes.map((outcome) => {
      if (!outcome.ok) throw fault(outcome.error);
      return outcome.value;
    });
  const shelfOf = (shelf: Shelf, name: string) => redis.keys.keyShelf(shelf, name);

  return {
    async get(shelf, names) {
      const calls = names.map((name): Call => ({ keys: [shelfOf(shelf, name)], args: [name] }));
      return values(await redis.batch<string | null>(scripts.get, [], calls));
    },
    async add(shelf, entries) {
      const calls = entries.map(([name, value]): Call => ({ keys: [shelfOf(shelf, name)], args: [name, value] }));
      return values(await redis.batch<string>(scripts.add, [], calls));
    },
    replace: (shelf, name, before, after) =>
      told(async () => {
        const call = { keys: [shelfOf(shelf, name)], args: [name, before, after ?? ''] };
        return (await redis.run<number>(scripts.replace, call)) === 1;
      }),
    async *all(shelf) {
      for (const key of redis.keys.allKeyShelves(shelf)) {
        let cursor = '0';
        do {
          const [next, flat] = await told(() => redis.command<[string, string[]]>('HSCAN', key, cursor, 'COUNT', SCAN_COUNT));
          yield Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] as string, flat[2 * i + 1] as string] as const);
          cursor = next;
        } while (cursor !== '0');
      }
    },
  };
}
