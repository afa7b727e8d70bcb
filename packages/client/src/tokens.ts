import type { ClientOptions } from './client.js';

/** Milliseconds of life a kept token needs to be used for another connection. */
const ENOUGH_LIFE = 60_000;
/** Milliseconds in which a token counts as just fetched: if the server refuses it, another would be refused as well. */
export const JUST_FETCHED = 10_000;

/** What a token says, unverified; nothing if it cannot be read. */
function claimsOf(token: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(atob((token.split('.')[1] as string).replace(/-/g, '+').replace(/_/g, '/')));
  } catch {
    return undefined;
  }
}

/**
 * Claims of a token or a login, which differ between two tokens of one person and name nobody: of RFC 7519 §4.1, RFC 8693 §4.2, OpenID Connect
 * (Core §2, §3.1.3.6; sessions), and of Keycloak, Amazon Cognito and Microsoft Entra. Which one names the user is the server's affair, so all others
 * count. Two users of an issuer that named them by one of these would share.
 */
const OF_ONE_TOKEN = /^(iat|exp|nbf|.*jti|nonce|.*_time|.*_hash|amr|acr|sid|scope|session_state|event_id|uti|aio|rh)$/;

/** A text that two tokens share only if they are of the same user; the empty one if that cannot be told. */
export function whoseToken(token: string): string {
  const claims = Object.entries(claimsOf(token) ?? {}).filter(([name]) => !OF_ONE_TOKEN.test(name));
  return claims[0] ? JSON.stringify(claims) : '';
}

/** The token at hand, fetched when it is needed. */
export function createTokens({ token, getToken }: ClientOptions) {
  let kept = '';
  let keptUntil = 0;
  let fetchedAt = 0;
  /** Counts what was forgotten: a token asked for before comes too late to be kept. */
  let turn = 0;
  const age = () => Date.now() - fetchedAt;

  return {
    age,
    /** Makes the next one a new one. */
    forget(): void {
      turn++;
      kept = '';
      keptUntil = fetchedAt = 0;
    },
    /** The empty text if there is none. @throws what `getToken` throws */
    async take(): Promise<string> {
      if (keptUntil - Date.now() > ENOUGH_LIFE || age() < JUST_FETCHED) return kept;
      const mine = turn;
      const given = (await getToken?.()) ?? token ?? '';
      const { token: taken, expiresAt } = (typeof given === 'string' ? { token: given } : given) as { token: string; expiresAt?: number };
      if (mine === turn) {
        kept = taken;
        keptUntil = expiresAt ?? (Number(claimsOf(taken)?.exp) * 1000 || Number.POSITIVE_INFINITY);
        fetchedAt = Date.now();
      }
      return taken;
    },
  };
}

export type Tokens = ReturnType<typeof createTokens>;
