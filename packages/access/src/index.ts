/** Who may do what: client tokens, API keys, and how much of anything. Owner of jose and rate-limiter-flexible. */
export { type ApiKey, type ApiKeys, createApiKeys } from './api-keys.js';
export { createRate, networkOf, type Rate, type Taken } from './rates.js';
export { createRevocations, isRevoked, type Revocations } from './revocations.js';
export {
  createTokenIssuer,
  type IssuedToken,
  TOKEN_TTL_DEFAULT_SECONDS,
  TOKEN_TTL_MAX_SECONDS,
  TOKEN_TTL_MIN_SECONDS,
  type TokenIssuer,
  type TokenIssuerOptions,
} from './token-issuer.js';
export { createTokenVerifier, type TokenVerifier, type TokenVerifierOptions, type VerifiedToken } from './token-verifier.js';
