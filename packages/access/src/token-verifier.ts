import { createHash } from 'node:crypto';
import { CarillonError, userIdSchema } from '@carillon/contracts';
import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { importSecret, SECRET_ALGORITHM } from './secret-key.js';

/** Bytes a token may have: real ones stay below 4 KiB, and nothing larger is worth decoding for a stranger. */
const TOKEN_MAX_BYTES = 8 * 1024;
/** Verified tokens remembered: some 200 bytes each, one for every connection of a large node. */
const CACHE_MAX_TOKENS = 50_000;

/** How far in the future a token may say it was issued, ms: clocks differ. */
const ISSUED_AHEAD_MAX_MS = 60_000;

/** What a verified token says. */
export interface VerifiedToken {
  readonly userId: string;
  /** When it expires, ms since the epoch. */
  readonly expiresAt: number;
  /**
   * When it was issued, ms since the epoch, by its `iat`, and at the latest when it was verified first; absent if it does not say so, or names a
   * time more than a minute ahead.
   */
  readonly issuedAt?: number;
}

export interface TokenVerifier {
  /**
   * Reads a client token. A token that was verified before is answered from memory until it expires.
   *
   * @throws TOKEN_EXPIRED from the very millisecond of `exp`: no tolerance, since sockets close at that moment too.
   * @throws TOKEN_INVALID for every other fault; a token's content never gets into the error.
   */
  verify(token: string): Promise<VerifiedToken>;
}

export interface TokenVerifierOptions {
  /** Secret shared with who signs (HS256). Without one, every token is refused. */
  readonly jwtSecret?: string | undefined;
  /** Required value of `iss`; unchecked when absent. */
  readonly issuer?: string | undefined;
  /** Required value (or one of the values) of `aud`; unchecked when absent. */
  readonly audience?: string | undefined;
  /** The claim that holds the user id; `sub` unless told. */
  readonly userClaim?: string | undefined;
}

/**
 * Proves a signature by one kind of key and reads the claims. Each kind of key has a check of its own, with its own list of algorithms:
 * were a shared secret and public keys tried under one list, a public key could be used as an HMAC secret.
 */
type SignatureCheck = (token: string, claims: JWTVerifyOptions) => Promise<JWTPayload>;

/**
 * Verifies client tokens. Needs `exp` and the user claim; further claims are ignored, so ordinary access tokens pass.
 *
 * @throws CONFIGURATION_INVALID when the secret is the empty text.
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const userClaim = options.userClaim ?? 'sub';
  const claims: JWTVerifyOptions = { requiredClaims: ['exp', userClaim], clockTolerance: 0 };
  if (options.issuer !== undefined) claims.issuer = options.issuer;
  if (options.audience !== undefined) claims.audience = options.audience;
  const check = options.jwtSecret === undefined ? refuse : checkBySecret(options.jwtSecret);
  const verified = new LRUCache<string, VerifiedToken>({ max: CACHE_MAX_TOKENS });

  return {
    verify: async (token) => {
      if (typeof token !== 'string' || token.length > TOKEN_MAX_BYTES || Buffer.byteLength(token) > TOKEN_MAX_BYTES) {
        throw invalid('it is not a text of at most 8 KiB');
      }
      // The digest and not the token: a dump of this process's memory must not be a list of credentials.
      const digest = createHash('sha256').update(token).digest('base64');
      const known = verified.get(digest);
      if (known) {
        if (Date.now() < known.expiresAt) return known;
        verified.delete(digest);
        throw new CarillonError('TOKEN_EXPIRED');
      }
      const fresh = read(await payloadOf(check, token, claims), userClaim);
      verified.set(digest, fresh);
      return fresh;
    },
  };
}

function checkBySecret(secret: string): SignatureCheck {
  const key = importSecret(secret, 'verify');
  return async (token, claims) => (await jwtVerify(token, await key, { ...claims, algorithms: [SECRET_ALGORITHM] })).payload;
}

const refuse: SignatureCheck = async () => {
  throw invalid('no key to verify it with is configured');
};

async function payloadOf(check: SignatureCheck, token: string, claims: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return await check(token, claims);
  } catch (error) {
    if (error instanceof CarillonError) throw error;
    // jose's errors carry the payload, so they are not kept as a cause.
    if (error instanceof errors.JWTExpired) throw new CarillonError('TOKEN_EXPIRED');
    throw invalid(error instanceof errors.JOSEError ? error.code : 'it cannot be read');
  }
}

function read(payload: JWTPayload, userClaim: string): VerifiedToken {
  const user = userIdSchema.safeParse(payload[userClaim]);
  if (!user.success) throw invalid('its user claim is not a user id');
  // jose compares whole seconds; `exp` may have a fraction.
  const expiresAt = Math.floor((payload.exp as number) * 1000);
  if (!Number.isSafeInteger(expiresAt)) throw invalid('its exp is out of range');
  if (expiresAt <= Date.now()) throw new CarillonError('TOKEN_EXPIRED');
  const issuedAt = readIssuedAt(payload.iat);
  return { userId: user.data, expiresAt, ...(issuedAt !== undefined && { issuedAt }) };
}

/** `iat` is a NumericDate: seconds, which may have a fraction (RFC 7519 section 2). */
function readIssuedAt(iat: number | undefined): number | undefined {
  if (iat === undefined) return undefined;
  const issuedAt = Math.round(iat * 1000);
  const now = Date.now();
  // What was seen now was not issued later: a token that is post-dated must not outlive a revocation.
  return issuedAt <= now + ISSUED_AHEAD_MAX_MS ? Math.min(issuedAt, now) : undefined;
}

function invalid(reason: string): CarillonError {
  return new CarillonError('TOKEN_INVALID', { message: `The client token was refused: ${reason}.` });
}
