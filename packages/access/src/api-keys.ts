import { createHash, timingSafeEqual } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';

/** What a key may be allowed. */
export const scopes = ['send', 'read', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** Live keys one name may have: the one in use and the one that follows it. */
const KEYS_PER_NAME = 2;

/** An API key without its secret. */
export interface ApiKey {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** SHA-256 of the key, base64url: tells it from another one of the same name. */
  readonly digest: string;
}

export interface ApiKeys {
  /** The key this bearer token belongs to. Takes the same time whichever key it is, or none. */
  find(bearer: string): ApiKey | undefined;
  /** The key with this digest, for what was opened with a key and ends with it; undefined once the key is no longer configured. */
  recall(digest: string): ApiKey | undefined;
}

interface Entry {
  readonly key: ApiKey;
  readonly digest: Buffer;
}

/** A name, or a name with its scopes in brackets. */
const namePattern = /^([^[\]\s]{1,64})(?:\[([a-z+]+)\])?$/;

/**
 * Reads the setting `NOTIFICATION_API_KEYS`: `name:key` or `name[send+read+admin]:key`, comma-separated. The bearer token is the part after
 * the last colon. A key without brackets has every scope. A name may stand there twice, with two keys: while one replaces the other both are
 * the same caller. Keys are kept as digests only.
 *
 * @throws CONFIGURATION_INVALID saying which entry is wrong by its place, never by its text, which may be a key.
 */
export function createApiKeys(spec: string): ApiKeys {
  const entries: Entry[] = [];
  for (const [index, text] of spec.split(',').entries()) entries.push(readEntry(text.trim(), index + 1, entries));
  return {
    find: (bearer) => {
      const digest = sha256(bearer);
      let found: ApiKey | undefined;
      // Every key is compared, found or not: an early exit would tell how far down the list a guess came.
      for (const entry of entries) if (timingSafeEqual(entry.digest, digest)) found = entry.key;
      return found;
    },
    recall: (digest) => entries.find(({ key }) => key.digest === digest)?.key,
  };
}

function readEntry(text: string, place: number, before: readonly Entry[]): Entry {
  const colon = text.lastIndexOf(':');
  if (colon === -1) throw wrong(place, 'must have the form name:key');
  const bearer = text.slice(colon + 1);
  if (!/^[\x21-\x7e]+$/.test(bearer)) throw wrong(place, 'the key after the last colon must be visible ASCII without spaces');
  const match = namePattern.exec(text.slice(0, colon));
  if (!match) throw wrong(place, 'the name must be 1 to 64 characters without spaces or brackets, followed by scopes in brackets if any');
  const name = match[1] as string;
  const granted = match[2] === undefined ? [...scopes] : match[2].split('+').map((scope) => readScope(scope, place));
  const digest = sha256(bearer);
  if (before.filter(({ key }) => key.name === name).length === KEYS_PER_NAME)
    throw wrong(place, 'is the third of its name: two may be live');
  if (before.some((other) => other.digest.equals(digest))) throw wrong(place, 'has the key of an earlier one');
  return { key: { name, scopes: [...new Set(granted)], digest: digest.toString('base64url') }, digest };
}

function readScope(text: string, place: number): Scope {
  const scope = scopes.find((known) => known === text);
  if (!scope) throw wrong(place, `scopes are ${scopes.join(', ')}`);
  return scope;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest();

function wrong(place: number, fault: string): CarillonError {
  const field = 'NOTIFICATION_API_KEYS';
  return new CarillonError('CONFIGURATION_INVALID', { field, message: `${field}: entry ${place} ${fault}` });
}
