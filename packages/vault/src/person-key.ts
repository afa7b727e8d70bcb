import type { KeyObject } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';
import { type Key, keyIdOf, openWith, sealWith, toKey } from './envelope.js';

/** What is sealed under a person's key: items of jobs, inbox bodies, what the directory knows of them, previews of their messages, categories in records. */
export type PersonPurpose = 'job' | 'inbox' | 'person' | 'preview' | 'record';

/** The key of one person, as a process holds it for a minute at most. */
export interface PersonKey {
  /** The name under which the key store knows the person: a keyed hash of their user id, which tells nothing of it. */
  readonly name: string;
  /** Whether there is a key here. */
  readonly isThere: boolean;
  /** Whether the person is being erased, so that nothing may be sealed for them. */
  readonly isErasing: boolean;
  /** When the person was erased last, ms since the epoch; 0 if never. What was created until then is not to be sealed anew, whoever still holds it opened. */
  readonly erasedAt: number;
  /** @throws what `seal` would: ERASURE_UNDER_WAY, SEAL_BROKEN (their key cannot be unwrapped) */
  check(): void;
  /** Seals `text`; `about` says which of the person's things it is. @throws ERASURE_UNDER_WAY, SEAL_BROKEN (their key cannot be unwrapped) */
  seal(purpose: PersonPurpose, about: string, text: string): string;
  /**
   * Opens what `seal` made for the same person, purpose and `about`. @throws PERSON_ERASED if it was sealed before the person was erased;
   * SEAL_BROKEN if it was altered, is something else's, or its key is missing or cannot be unwrapped
   */
  open(purpose: PersonPurpose, about: string, sealed: string): string;
}

/** What the key store holds of a person: their key, wrapped, unless they were erased, and the ids of the keys that were destroyed. */
export interface PersonEntry {
  readonly id?: string;
  readonly wrapped?: string;
  readonly erased?: readonly string[];
  /** When that was last, ms since the epoch. */
  readonly erasedAt?: number | undefined;
  /** They are being erased: until when somebody may still hold a destroyed key, ms since the epoch. Gone when the erasure is done. */
  readonly until?: number | undefined;
}

/** A person's key from its entry; `secret` is missing where there is none, `fault` says why it could not be unwrapped. */
export function createPersonKey(name: string, entry: PersonEntry, secret: KeyObject | undefined, fault?: CarillonError): PersonKey {
  const key = entry.id !== undefined && secret ? toKey(entry.id, secret) : undefined;
  return new HeldKey(name, key, entry, fault);
}

/** A class and not closures: a gateway holds one for every user it serves, and keeps nothing of their entry that it does not need. */
class HeldKey implements PersonKey {
  readonly name: string;
  readonly erasedAt: number;
  readonly #key: Key | undefined;
  readonly #erased: readonly string[] | undefined;
  readonly #until: number | undefined;
  readonly #fault: CarillonError | undefined;

  constructor(name: string, key: Key | undefined, { erased, erasedAt = 0, until }: PersonEntry, fault: CarillonError | undefined) {
    this.name = name;
    this.erasedAt = erasedAt;
    this.#key = key;
    this.#erased = erased;
    this.#until = until;
    this.#fault = fault;
  }

  get isThere(): boolean {
    return this.#key !== undefined;
  }

  get isErasing(): boolean {
    return this.#until !== undefined;
  }

  check(): void {
    this.#held();
  }

  seal(purpose: PersonPurpose, about: string, text: string): string {
    return sealWith(this.#held(), [purpose, this.name, about], text);
  }

  open(purpose: PersonPurpose, about: string, sealed: string): string {
    // Somebody who was never erased has no destroyed keys to look for.
    if (this.#erased?.includes(keyIdOf(sealed) ?? '')) throw new CarillonError('PERSON_ERASED');
    if (!this.#key) throw this.#fault ?? new CarillonError('SEAL_BROKEN');
    return openWith(this.#key, [purpose, this.name, about], sealed).toString('utf8');
  }

  #held(): Key {
    if (!this.#key) throw this.#fault ?? missing(this.#until);
    return this.#key;
  }
}

/** Pause suggested while an erasure is about to be done, ms. */
const RETRY_MS = 1000;

/** Why nothing is sealed: they are being erased, or nobody has made them a key. */
function missing(until: number | undefined): CarillonError {
  if (until === undefined) return new CarillonError('SEAL_BROKEN');
  return new CarillonError('ERASURE_UNDER_WAY', { field: 'userId', retryAfter: Math.max(RETRY_MS, until - Date.now()) });
}
