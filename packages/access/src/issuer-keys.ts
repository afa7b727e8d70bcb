import { CarillonError } from '@carillon/contracts';
import { type CryptoKey, createLocalJWKSet, errors, type JSONWebKeySet, type JWSHeaderParameters } from 'jose';

/** Time the issuer has to answer, body included, ms. Whoever connects waits for it. */
const ANSWER_WITHIN_MS = 5000;
/** Bytes a key set may have: a set of ten RSA keys with their certificates stays below 32 KiB. */
const SET_MAX_BYTES = 256 * 1024;
/** Age from which a key set is fetched anew while it is used on, ms. */
const FRESH_MS = 4 * 60_000;
/** Age from which nobody is let in by a key set before a newer one was asked for, ms. */
const CURRENT_MS = 5 * 60_000;
/** Pause after a fetch that failed, ms: who comes meanwhile does not wait for an issuer that is away. */
const RETRY_MS = 5000;
/** Time after a failed fetch in which the last known keys are used without waiting for the next one, ms: an issuer that hangs holds up nobody. */
const AWAY_MS = 60_000;
/** Pause before a token with an unknown key makes us fetch again, ms: such tokens cost a stranger nothing. */
const UNKNOWN_KEY_MS = 30_000;
/** How long the last known keys stand in for an issuer that is away, ms: a day, so that nobody is locked out over night, and no withdrawn key lives on for ever. */
const KEPT_MS = 24 * 3600_000;

/** Finds the key a token names. */
export type FindKey = (header: JWSHeaderParameters) => Promise<CryptoKey>;

interface KeySet {
  readonly find: FindKey;
  /** When it was asked for, ms since the epoch: it tells nothing of what came after. */
  readonly at: number;
}

export interface IssuerKeysOptions {
  /** Told of each fetch that failed; the error is TOKEN_KEYS_UNAVAILABLE. */
  readonly failed?: ((error: CarillonError) => void) | undefined;
}

/**
 * The public keys (JWKS, RFC 7517) at an address, found by the `alg` and `kid` of a token; nothing else in it matters, and no address in it is
 * looked at. Fetched when first needed, then while they are used: at an age of 4 minutes in the background, and from 5 minutes on before anybody
 * is let in by them. While the issuer is away, the last known keys are used for at most a day. Redirects are not followed. Needs no closing.
 *
 * The function throws TOKEN_KEYS_UNAVAILABLE when the key may exist and cannot be had, TOKEN_INVALID when it does not.
 */
export function createIssuerKeys(url: string, { failed }: IssuerKeysOptions = {}): FindKey {
  let set: KeySet | undefined;
  let failure: { readonly at: number; readonly error: CarillonError } | undefined;
  let fetching: Promise<void> | undefined;

  const reload = async () => {
    const at = Date.now();
    try {
      set = { find: createLocalJWKSet(await fetchKeySet(url)), at };
      failure = undefined;
    } catch (thrown) {
      const error = unavailable(thrown);
      failure = { at: Date.now(), error };
      failed?.(error);
    }
  };
  /** Fetches once for all who wait, and not again right after a failure. Never rejects. */
  const renew = () => {
    if (failure && Date.now() < failure.at + RETRY_MS) return;
    fetching ??= reload().finally(() => {
      fetching = undefined;
    });
    return fetching;
  };
  const current = async (): Promise<KeySet> => {
    const age = ageOf(set);
    if (age >= FRESH_MS) {
      const renewed = renew();
      const isAway = failure !== undefined && Date.now() < failure.at + AWAY_MS;
      if (age >= KEPT_MS || (age >= CURRENT_MS && !isAway)) await renewed;
    }
    if (set === undefined || ageOf(set) >= KEPT_MS) throw failure?.error ?? new CarillonError('TOKEN_KEYS_UNAVAILABLE');
    return set;
  };

  return async (header) => {
    const known = await find(await current(), header);
    if (known) return known;
    if (ageOf(set) >= UNKNOWN_KEY_MS) await renew();
    const added = set && (await find(set, header));
    if (added) return added;
    // The key may be one that an issuer who is away now has added.
    throw failure?.error ?? new CarillonError('TOKEN_INVALID', { message: 'The client token was refused: it names no key of its issuer.' });
  };
}

const ageOf = (set: KeySet | undefined) => (set === undefined ? Number.POSITIVE_INFINITY : Date.now() - set.at);

async function find(set: KeySet, header: JWSHeaderParameters): Promise<CryptoKey | undefined> {
  try {
    return await set.find(header);
  } catch (error) {
    // Several keys that fit a token which names none: to try them all would cost us more than a stranger.
    if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) return undefined;
    throw error;
  }
}

async function fetchKeySet(url: string): Promise<JSONWebKeySet> {
  const response = await fetch(url, {
    headers: { accept: 'application/jwk-set+json, application/json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new CarillonError('TOKEN_KEYS_UNAVAILABLE', { message: `The token issuer answers ${response.status} when asked for its keys.` });
  }
  return JSON.parse(await textOf(response)) as JSONWebKeySet;
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels the rest.
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > SET_MAX_BYTES)
      throw new CarillonError('TOKEN_KEYS_UNAVAILABLE', { message: 'The key set of the token issuer is too large.' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function unavailable(thrown: unknown): CarillonError {
  if (thrown instanceof CarillonError) return thrown;
  const isUnread = thrown instanceof errors.JOSEError || thrown instanceof SyntaxError;
  const message = isUnread ? 'What the token issuer answers is no key set.' : 'The token issuer does not answer when asked for its keys.';
  // What a parser says quotes what it read.
  return new CarillonError('TOKEN_KEYS_UNAVAILABLE', isUnread ? { message } : { message, cause: thrown });
}
