import { CarillonError, userIdSchema } from '@carillon/contracts';
import { SignJWT } from 'jose';
import { importSecret, SECRET_ALGORITHM } from './secret-key.js';

/** Seconds a token lives unless told: long enough not to be noticed, short enough to be lost without harm. */
export const TOKEN_TTL_DEFAULT_SECONDS = 3600;
/** Shortest life of a token that can be asked for, seconds. */
export const TOKEN_TTL_MIN_SECONDS = 1;
/** Longest life of a token that can be asked for, seconds (30 days). */
export const TOKEN_TTL_MAX_SECONDS = 30 * 24 * 3600;

export interface IssuedToken {
  readonly token: string;
  /** When it expires, ms since the epoch. */
  readonly expiresAt: number;
}

export interface TokenIssuer {
  /**
   * Signs a client token for one user. It lives `ttlSeconds` and the rest of the second begun.
   *
   * @throws FIELD_INVALID `userId` or `ttlSeconds`
   */
  issue(userId: string, ttlSeconds?: number): Promise<IssuedToken>;
}

export interface TokenIssuerOptions {
  readonly jwtSecret: string;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
  /** The claim that holds the user id; `sub` unless told. */
  readonly userClaim?: string | undefined;
}

/**
 * Signs the client tokens that a verifier with the same options accepts.
 *
 * @throws CONFIGURATION_INVALID when the secret is empty.
 */
export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const key = importSecret(options.jwtSecret, 'sign');
  return {
    issue: async (userId, ttlSeconds = TOKEN_TTL_DEFAULT_SECONDS) => {
      checkWish(userId, ttlSeconds);
      const now = Date.now();
      // Rounded up, so that a token of one second is not born expired; never by more than the second it is asked in.
      const exp = Math.ceil(now / 1000) + ttlSeconds;
      const claims = new SignJWT({ [options.userClaim ?? 'sub']: userId })
        .setProtectedHeader({ alg: SECRET_ALGORITHM, typ: 'JWT' })
        // With its fraction (RFC 7519 section 2 allows one): a token issued right after a revocation is not one from before.
        .setIssuedAt(now / 1000)
        .setExpirationTime(exp);
      if (options.issuer !== undefined) claims.setIssuer(options.issuer);
      if (options.audience !== undefined) claims.setAudience(options.audience);
      return { token: await claims.sign(await key), expiresAt: exp * 1000 };
    },
  };
}

function checkWish(userId: string, ttlSeconds: number): void {
  if (!userIdSchema.safeParse(userId).success)
    throw new CarillonError('FIELD_INVALID', { field: 'userId', message: 'userId: must be a user id' });
  if (Number.isInteger(ttlSeconds) && ttlSeconds >= TOKEN_TTL_MIN_SECONDS && ttlSeconds <= TOKEN_TTL_MAX_SECONDS) return;
  const message = `ttlSeconds: must be a whole number from ${TOKEN_TTL_MIN_SECONDS} to ${TOKEN_TTL_MAX_SECONDS}`;
  throw new CarillonError('FIELD_INVALID', { field: 'ttlSeconds', message });
}
