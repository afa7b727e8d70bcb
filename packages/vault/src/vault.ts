import { type Audit, noAudit } from '@carillon/audit';
import { LRUCache } from 'lru-cache';
import { openWith, sealWith, toKey } from './envelope.js';
import { installationSecret } from './installation.js';
import type { KeyProvider } from './key-ring.js';
import type { KeyStore } from './key-store.js';
import { deriveFrom } from './keyed-hash.js';
import { type Destroyed, People } from './people.js';
import type { PersonKey } from './person-key.js';
import { type Sweep, sweep } from './rotation.js';

/** What the installation seals for itself. */
export type HousePurpose = 'session' | 'unsubscribe' | 'erasure';

/** Seals and opens what must not be readable at rest. What is about a person is sealed under that person's own key. */
export interface Vault {
  /** Seals under a key of the installation, which lives as long as it. `owner` says whose, or of what, it is. The result is base64. */
  seal(purpose: HousePurpose, owner: string, text: string): string;
  /** @throws SEAL_BROKEN */
  open(purpose: HousePurpose, owner: string, sealed: string): string;
  /** A keyed hash, 32 bytes: for names and ids that must not tell what they were made from. */
  hash(purpose: string, ...parts: readonly string[]): Buffer;
  /** The name under which a person's key is kept; see `PersonKey`. */
  nameOf(userId: string): string;
  /**
   * The keys of people by user id, in one round trip for those this process did not hold; `make` makes the missing ones. A person without a key, or who is
   * being erased, has an entry too; it opens and seals nothing. @throws KEY_STORE_UNAVAILABLE, REDIS_UNAVAILABLE
   */
  people(userIds: Iterable<string>, missing: 'make' | 'leave'): Promise<ReadonlyMap<string, PersonKey>>;
  /** The key of one person; see `people`. */
  person(userId: string, missing: 'make' | 'leave'): Promise<PersonKey>;
  /** The keys of people by the names of their keys. None is made. */
  holders(names: Iterable<string>): Promise<ReadonlyMap<string, PersonKey>>;
  /** Destroys a person's key: what was sealed for them opens never again. Nothing can be sealed for the person until they are released. */
  destroy(userId: string): Promise<Destroyed>;
  /** Destroys keys of this name that a restored key store has brought back. */
  destroyAgain(name: string, keys: readonly string[], erasedAt: number): Promise<void>;
  /** The erasure for which `destroy` answered `until` is done: the person of this name may be told of again, under a new key. */
  release(name: string, until: number): Promise<void>;
  /** The id of the encryption key that wraps now. */
  readonly encryptionKey: string;
  /** Wraps all keys by the current encryption key, and tells which keys are still in use. */
  sweep(): Promise<Sweep>;
  /** Where the keys are kept, for the log of erasures beside them. */
  readonly store: KeyStore;
}

export interface VaultParts {
  readonly provider: KeyProvider;
  readonly store: KeyStore;
  readonly audit?: Pick<Audit, 'note'> | undefined;
  /** How long a process may hold a person's key, ms; 60 s unless told. All processes of an installation must agree. */
  readonly cacheMs?: number | undefined;
}

/** Names held by a process: computing one costs as much as sealing a short text. */
const NAMES_HELD = 50_000;
/** Bytes of a person's name in the key store. */
const NAME_BYTES = 16;

/** Opens the vault over a key store. @throws SEAL_BROKEN (other encryption keys than before), KEY_STORE_UNAVAILABLE, REDIS_UNAVAILABLE */
export async function openVault({ provider, store, audit = noAudit, cacheMs }: VaultParts): Promise<Vault> {
  const derived = deriveFrom(await installationSecret(provider, store));
  const names = new LRUCache<string, string>({ max: NAMES_HELD });
  const nameOf = (userId: string): string => {
    const known = names.get(userId);
    if (known !== undefined) return known;
    const name = derived.hash('person', userId).subarray(0, NAME_BYTES).toString('base64url');
    names.set(userId, name);
    return name;
  };
  const people = new People({ provider, store, audit, cacheMs });
  const houseKey = (purpose: HousePurpose) => toKey('house', derived.key(purpose));

  return {
    store,
    encryptionKey: provider.current,
    nameOf,
    hash: derived.hash,
    seal: (purpose, owner, text) => sealWith(houseKey(purpose), [purpose, owner], text),
    open: (purpose, owner, sealed) => openWith(houseKey(purpose), [purpose, owner], sealed).toString('utf8'),
    async people(userIds, missing) {
      const keys = new Map<string, PersonKey>();
      const others = new Map<string, string>();
      for (const userId of userIds) {
        if (keys.has(userId)) continue;
        const name = nameOf(userId);
        const held = people.held(name);
        if (held) keys.set(userId, held);
        else others.set(userId, name);
      }
      if (others.size === 0) return keys;
      const fetched = await people.get(others.values(), missing);
      for (const [userId, name] of others) keys.set(userId, fetched.get(name) as PersonKey);
      return keys;
    },
    async person(userId, missing) {
      const name = nameOf(userId);
      return people.held(name) ?? ((await people.get([name], missing)).get(name) as PersonKey);
    },
    holders: (wanted) => people.get(wanted, 'leave'),
    destroy: (userId) => people.destroy(nameOf(userId)),
    release: (name, until) => people.release(name, until),
    destroyAgain: (name, keys, erasedAt) => people.destroyAgain(name, keys, erasedAt),
    sweep: () => sweep(provider, store, audit),
  };
}
