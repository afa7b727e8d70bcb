/** What is kept in a key store: the installation's secret, keys of people, erasures that are under way, and those that are done. */
export type Shelf = 'installation' | 'person' | 'erasure' | 'erased';

/**
 * Where wrapped keys are kept, and the log of erasures. It should not be where the queues are, nor in the same backup: what a restore of the
 * queues brings back must not find its keys again. Methods throw KEY_STORE_UNAVAILABLE, or REDIS_UNAVAILABLE where it is the Redis of the queues.
 */
export interface KeyStore {
  /** In order; null where there is nothing. */
  get(shelf: Shelf, names: readonly string[]): Promise<(string | null)[]>;
  /** Puts values where there are none yet; answers what is there afterwards. The first to add wins, whatever the number of processes. */
  add(shelf: Shelf, entries: readonly (readonly [name: string, value: string])[]): Promise<string[]>;
  /** Puts another value in the place of this one, or removes it (null). False if something else is there by now. */
  replace(shelf: Shelf, name: string, before: string, after: string | null): Promise<boolean>;
  /** Everything on a shelf, some entries at a time. */
  all(shelf: Shelf): AsyncIterable<readonly (readonly [name: string, value: string])[]>;
}
