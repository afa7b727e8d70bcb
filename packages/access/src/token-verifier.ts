import { createHash } from 'node:crypto';
import { CarillonError, userIdSchema } from '@carillon/contracts';
import { decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { createIssuerKeys } from './issuer-keys.js';
import { importSecret, SECRET_ALGORITHM } from './secret-key.js';

/** Bytes a token may have: real ones stay below 4 KiB, and nothing larger is worth decoding for a stranger. */
const TOKEN_MAX_BYTES = 8 * 1024;
/** Verified tokens remembered: some 200 bytes each, one for every connection of a large node. */
const CACHE_MAX_TOKENS = 50_000;

/** Time after which a token that was verified by a key of an issuer is verified again, ms: the issuer may have withdrawn the key. */
const RECHECK_MS = 5 * 60_000;
/** Algorithms of tokens that an issuer signs: with a private key, all of them. */
const ISSUER_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
/** Types of a token that grants access (RFC 9068 §2.1), if it has one: an issuer signs others with the same keys, such as those for a logout. */
const ACCESS_TYPES = new Set(['jwt', 'at+jwt', 'application/at+jwt']);

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
   * Reads a client token. A token that was verified before is answered from memory until it expires, one of an issuer for at most 5 minutes. So
   * a key that its issuer withdraws counts no more after 10 minutes, while the issuer can be asked, and a day later else.
   *
   * @throws TOKEN_EXPIRED from the very millisecond of `exp`: no tolerance, since sockets close at that moment too.
   * @throws TOKEN_KEYS_UNAVAILABLE when the token may be good and the keys of its issuer cannot be had now.
   * @throws TOKEN_INVALID for every other fault; a token's content never gets into the error.
   */
  verify(token: string): Promise<VerifiedToken>;
}

export interface TokenVerifierOptions {
  /** Secret shared with who signs (HS256). */
  readonly jwtSecret?: string | undefined;
  /** Address of the public keys (JWKS) of who signs (RS, PS, ES or EdDSA). With neither this nor a secret, every token is refused. */
  readonly jwksUrl?: string | undefined;
  /** Told when the keys at `jwksUrl` could not be fetched; the last known ones may be used on. */
  readonly keysUnavailable?: ((error: CarillonError) => void) | undefined;
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
type SignatureCheck = (token: string, claims: JWTVerifyOptions) => Promise<{ payload: JWTPayload; isIssued: boolean }>;

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
  const check = createCheck(options);
  const verified = new LRUCache<string, Remembered>({ max: CACHE_MAX_TOKENS });

  return {
    verify: async (token) => {
      if (typeof token !== 'string' || token.length > TOKEN_MAX_BYTES || Buffer.byteLength(token) > TOKEN_MAX_BYTES) {
        throw invalid('it is not a text of at most 8 KiB');
      }
      // The digest and not the token: a dump of this process's memory must not be a list of credentials.
      const digest = createHash('sha256').update(token).digest('base64');
      const known = verified.get(digest);
      if (known && Date.now() < known.until) return known.token;
      if (known && Date.now() >= known.token.expiresAt) {
        verified.delete(digest);
        throw new CarillonError('TOKEN_EXPIRED');
      }
      const { payload, isIssued } = await check(token, claims).catch(refusal);
      const fresh = read(payload, userClaim);
      // Its first reading stands: see `issuedAt`.
      const reading = known?.token ?? fresh;
      verified.set(digest, { token: reading, until: isIssued ? Math.min(fresh.expiresAt, Date.now() + RECHECK_MS) : fresh.expiresAt });
      return reading;
    },
  };
}

interface Remembered {
  readonly token: VerifiedToken;
  /** When it has to be verified again, ms since the epoch. */
  readonly until: number;
}

/** The check for the kind of key that a token's algorithm belongs to. */
function createCheck({ jwtSecret, jwksUrl, keysUnavailable }: TokenVerifierOptions): SignatureCheck {
  const bySecret = jwtSecret === undefined ? undefined : checkBySecret(jwtSecret);
  const byIssuer = jwksUrl === undefined ? undefined : checkByIssuer(jwksUrl, keysUnavailable);
  return async (token, claims) => {
    const { alg = '' } = decodeProtectedHeader(token);
    const check = alg === SECRET_ALGORITHM ? bySecret : byIssuer;
    if (!check) throw invalid('no key to verify it with is configured');
    return check(token, claims);
  };
}

function checkBySecret(secret: string): SignatureCheck {
  const key = importSecret(secret, 'verify');
  return async (token, claims) => {
    const { payload } = await jwtVerify(token, await key, { ...claims, algorithms: [SECRET_ALGORITHM] });
    return { payload, isIssued: false };
  };
}

function checkByIssuer(jwksUrl: string, failed: TokenVerifierOptions['keysUnavailable']): SignatureCheck {
  const findKey = createIssuerKeys(jwksUrl, { failed });
  return async (token, claims) => {
    const { payload, protectedHeader } = await jwtVerify(token, findKey, { ...claims, algorithms: ISSUER_ALGORITHMS });
    if (!ACCESS_TYPES.has(protectedHeader.typ?.toLowerCase() ?? 'jwt')) throw invalid('it is not for access');
    return { payload, isIssued: true };
  };
}

/** Why a token was refused. jose's errors carry the payload, so they are not kept as a cause. */
function refusal(error: unknown): never {
  if (error instanceof CarillonError) throw error;
  if (error instanceof errors.JWTExpired) throw new CarillonError('TOKEN_EXPIRED');
  throw invalid(error instanceof errors.JOSEError ? error.code : 'it cannot be read');
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
