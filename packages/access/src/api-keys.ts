import { createHash, timingSafeEqual } from 'node:crypto';
import { CarillonError, readApiKeys, type Scope } from '@carillon/contracts';

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

/**
 * The keys of the setting `NOTIFICATION_API_KEYS` (see `readApiKeys`), kept as digests only.
 *
 * @throws CONFIGURATION_INVALID with a line for each entry that is wrong, which names its place and never its text.
 */
export function createApiKeys(spec: string): ApiKeys {
  const { keys, faults } = readApiKeys(spec);
  if (faults.length > 0) throw wrong(faults);
  const entries = keys.map(({ name, scopes, bearer }) => {
    const digest = sha256(bearer);
    return { key: { name, scopes, digest: digest.toString('base64url') }, digest };
  });
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

const sha256 = (text: string) => createHash('sha256').update(text).digest();

function wrong(faults: readonly string[]): CarillonError {
  const field = 'NOTIFICATION_API_KEYS';
  return new CarillonError('CONFIGURATION_INVALID', { field, message: faults.map((fault) => `${field}: ${fault}`).join('\n') });
}
