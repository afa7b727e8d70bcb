import { createSecretKey, randomBytes } from 'node:crypto';
import { type Audit, noAudit } from '@carillon/audit';
import { CarillonError, toCarillonError } from '@carillon/contracts';
import { LRUCache } from 'lru-cache';
import { INSTALLATION } from './installation.js';
import { KEY_BYTES, type KeyProvider } from './key-ring.js';
import type { KeyStore } from './key-store.js';
import { createPersonKey, type PersonEntry, type PersonKey } from './person-key.js';

/** How long a process may hold a person's key, ms: after an erasure, nobody has it any more when this time is over. */
export const KEY_CACHE_MS = 60_000;
/** What an erasure waits beyond that, as a part of it (5 s to a minute): for what was being written with a key just before its time was over. */
const ERASURE_MARGIN = 1 / 12;
/** How exactly the time a key is held is kept, ms: the clock is asked no more often. */
const TTL_RESOLUTION_MS = 100;
/** Keys held by a process; half a kilobyte each. */
const KEYS_HELD = 50_000;
/** Bytes of a key's id: 96 bits, so that no two keys of a person have the same. */
const KEY_ID_BYTES = 12;

export interface PeopleParts {
  readonly provider: KeyProvider;
  readonly store: KeyStore;
  readonly audit?: Pick<Audit, 'note'> | undefined;
  /** ms; all processes of an installation must agree. */
  readonly cacheMs?: number | undefined;
}

const actor = { type: 'system', name: 'vault' } as const;

/** The keys of people: fetched and unwrapped when they are needed, made when they are first needed, destroyed when somebody is erased. */
export class People {
  readonly #parts: PeopleParts;
  readonly #audit: Pick<Audit, 'note'>;
  readonly #held: LRUCache<string, PersonKey>;
  /** Fetches under way, so that a hundred notifications for one user ask once. */
  readonly #coming = new Map<string, Promise<PersonKey>>();
  readonly #cacheMs: number;

  constructor(parts: PeopleParts) {
    this.#parts = parts;
    this.#audit = parts.audit ?? noAudit;
    this.#cacheMs = parts.cacheMs ?? KEY_CACHE_MS;
    this.#held = new LRUCache({ max: KEYS_HELD, ttl: this.#cacheMs, ttlResolution: TTL_RESOLUTION_MS, updateAgeOnGet: false });
  }

  /** The key of a person, if this process has it. */
  held(name: string): PersonKey | undefined {
    return this.#held.get(name);
  }

  /** Keys by name; `make` makes those that are missing. @throws KEY_STORE_UNAVAILABLE, REDIS_UNAVAILABLE */
  async get(names: Iterable<string>, missing: 'make' | 'leave'): Promise<Map<string, PersonKey>> {
    const keys = new Map<string, PersonKey>();
    const wanted: string[] = [];
    const coming: Promise<PersonKey>[] = [];
    for (const name of names) {
      if (keys.has(name)) continue;
      const held = this.#held.get(name);
      const under = held ?? this.#coming.get(`${missing} ${name}`);
      if (held) keys.set(name, held);
      else if (under) coming.push(under as Promise<PersonKey>);
      else if (!wanted.includes(name)) wanted.push(name);
    }
    if (wanted.length > 0) coming.push(...this.#fetch(wanted, missing));
    for (const key of await Promise.all(coming)) keys.set(key.name, key);
    return keys;
  }

  #fetch(names: readonly string[], missing: 'make' | 'leave'): Promise<PersonKey>[] {
    const fetching = this.#read(names, missing);
    return names.map((name, i) => {
      const own = fetching.then((keys) => keys[i] as PersonKey);
      const under = `${missing} ${name}`;
      this.#coming.set(under, own);
      own.finally(() => this.#coming.delete(under)).catch(() => undefined);
      return own;
    });
  }

  async #read(names: readonly string[], missing: 'make' | 'leave'): Promise<PersonKey[]> {
    const { store } = this.#parts;
    // From before it is read: an erasure counts on nobody holding a key for longer.
    const start = performance.now();
    let texts = await store.get('person', names);
    if (missing === 'make') texts = await this.#makeMissing(names, texts);
    const keys = await Promise.all(names.map((name, i) => this.#unwrap(name, texts[i] ?? null)));
    const opened: string[] = [];
    for (const key of keys) {
      if (!key.isThere) continue;
      this.#held.set(key.name, key, { start });
      opened.push(key.name);
    }
    if (opened.length > 0) this.#audit.note({ actor, action: 'key.used', ids: opened });
    return keys;
  }

  async #makeMissing(names: readonly string[], texts: readonly (string | null)[]): Promise<(string | null)[]> {
    const { store } = this.#parts;
    const result = [...texts];
    const fresh: [position: number, value: string][] = [];
    for (const [i, text] of texts.entries()) {
      const entry = parseEntry(text);
      // Somebody who is told of again after they were erased; nothing that was sealed before opens with the new key.
      if (text !== null && entry.wrapped === undefined && entry.until === undefined) {
        const value = await this.#freshEntry(names[i] as string, entry);
        result[i] = (await store.replace('person', names[i] as string, text, value))
          ? value
          : ((await store.get('person', [names[i] as string]))[0] ?? null);
      }
      if (text === null) fresh.push([i, await this.#freshEntry(names[i] as string)]);
    }
    // A store that has lost the keys it had must be noticed before it is given others.
    if (fresh.length > 0 && (await store.get('installation', [INSTALLATION]))[0] == null)
      throw new CarillonError('KEY_STORE_UNAVAILABLE', { message: 'The key store has lost the keys it had.' });
    const added =
      fresh.length > 0
        ? await store.add(
            'person',
            fresh.map(([i, value]) => [names[i] as string, value]),
          )
        : [];
    const made: string[] = [];
    for (const [k, [i, value]] of fresh.entries()) {
      result[i] = added[k] as string;
      if (added[k] === value) made.push(names[i] as string);
    }
    if (made.length > 0) this.#audit.note({ actor, action: 'key.made', ids: made });
    return result;
  }

  async #freshEntry(name: string, { erased, erasedAt }: PersonEntry = {}): Promise<string> {
    const wrapped = await this.#parts.provider.wrap(randomBytes(KEY_BYTES), contextOf(name));
    const entry: PersonEntry = { id: randomBytes(KEY_ID_BYTES).toString('base64url'), wrapped, ...(erased && { erased, erasedAt }) };
    return JSON.stringify(entry);
  }

  async #unwrap(name: string, text: string | null): Promise<PersonKey> {
    const entry = parseEntry(text);
    if (entry.wrapped === undefined) return createPersonKey(name, entry, undefined);
    try {
      return createPersonKey(name, entry, createSecretKey(await this.#parts.provider.unwrap(entry.wrapped, contextOf(name))));
    } catch (thrown) {
      // One key that cannot be unwrapped is no reason to leave the others of a batch.
      return createPersonKey(name, entry, undefined, toCarillonError(thrown));
    }
  }

  /** Destroys the key of a person. Nothing is sealed for them until `release`. */
  async destroy(name: string): Promise<Destroyed> {
    const erasedAt = Date.now();
    const until = Math.ceil(erasedAt + this.#cacheMs * (1 + ERASURE_MARGIN));
    const { erased = [] } = await this.#change(name, (entry) => ({ erased: idsOf(entry), erasedAt, until }));
    this.#forgot(name);
    return { until, keys: erased };
  }

  /** Lets a new key be made for a person, unless another erasure has begun. */
  async release(name: string, until: number): Promise<void> {
    await this.#change(name, ({ until: current, ...rest }) => (current === until ? rest : { ...rest, until: current }));
  }

  /** Destroys a key that a restored store has brought back. */
  async destroyAgain(name: string, keys: readonly string[], erasedAt: number): Promise<void> {
    const [text = null] = await this.#parts.store.get('person', [name]);
    const { id } = parseEntry(text);
    if (id === undefined || !keys.includes(id)) return;
    await this.#change(name, (entry) => ({ erased: [...new Set([...idsOf(entry), ...keys])], erasedAt }));
    this.#forgot(name);
  }

  #forgot(name: string): void {
    this.#held.delete(name);
    this.#audit.note({ actor, action: 'key.destroyed', ids: [name] });
  }

  async #change(name: string, step: (entry: PersonEntry) => PersonEntry): Promise<PersonEntry> {
    const { store } = this.#parts;
    for (;;) {
      const [text = null] = await store.get('person', [name]);
      const next = step(parseEntry(text));
      const after = JSON.stringify(next);
      if (after === text) return next;
      if (text === null ? (await store.add('person', [[name, after]]))[0] === after : await store.replace('person', name, text, after))
        return next;
    }
  }
}

/** What is left of a person's keys when they are erased. */
export interface Destroyed {
  /** Until when other processes may still hold the key, ms since the epoch. */
  readonly until: number;
  /** Ids of all keys of the person that were destroyed so far. */
  readonly keys: readonly string[];
}

const idsOf = ({ id, erased = [] }: PersonEntry): string[] => (id === undefined ? [...erased] : [...erased, id]);

/** What a person's key is wrapped for: an entry that is moved to another name does not unwrap. */
export const contextOf = (name: string) => `person ${name}`;

export function parseEntry(text: string | null): PersonEntry {
  return text === null ? {} : (JSON.parse(text) as PersonEntry);
}
