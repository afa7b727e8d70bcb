import { createHash, randomBytes } from 'node:crypto';
import type { ApiKey } from '@carillon/access';
import type { Redis } from '@carillon/redis';
import type { Vault } from '@carillon/vault';

/** Where one-time links begin. */
export const OPEN = '/open/';
/** How long a one-time link may be used, ms: somebody has just started the service and reads its first lines. */
const LINK_MAX = 3_600_000;
/** Random bytes of a link. */
const CODE_BYTES = 32;

/** The key a session is opened with: its name, and the digest that tells it from another of that name. */
export type KeyRef = Pick<ApiKey, 'name' | 'digest'>;

/** Links that sign somebody in once, and sessions that were signed out of. Methods throw REDIS_UNAVAILABLE when Redis is away. */
export interface Openings {
  /** The path of a link that opens a session by this key: once, within an hour, in whichever process. */
  issue(key: KeyRef): Promise<string>;
  /** The key of a link's code, which is used up by it; undefined if it was used, is over, or never was one. */
  take(code: string): Promise<KeyRef | undefined>;
  /** Ends a session in all processes: a copy of its cookie is of no use either. It would have ended by itself at `expiresAt`, ms since the epoch. */
  end(session: string, expiresAt: number): Promise<void>;
  hasEnded(session: string): Promise<boolean>;
}

/** Both in Redis, which knows codes and sessions as hashes only, and the keys that links stand for sealed. */
export function createOpenings({ redis, vault }: { redis: Redis; vault: Pick<Vault, 'seal' | 'open'> }): Openings {
  const nameOf = (secret: string) => createHash('sha256').update(secret).digest('base64url');
  return {
    async issue({ name, digest }) {
      const code = randomBytes(CODE_BYTES).toString('base64url');
      const sealed = vault.seal('session', nameOf(code), JSON.stringify({ name, digest } satisfies KeyRef));
      await redis.command('SET', redis.keys.opening(nameOf(code)), sealed, 'PX', LINK_MAX);
      return `${OPEN}${code}`;
    },
    async take(code) {
      const sealed = await redis.command<string | null>('GETDEL', redis.keys.opening(nameOf(code)));
      if (sealed === null) return undefined;
      try {
        return JSON.parse(vault.open('session', nameOf(code), sealed)) as KeyRef;
      } catch {
        // Altered, or sealed with a key that is no longer configured: no link.
        return undefined;
      }
    },
    async end(session, expiresAt) {
      const left = expiresAt - Date.now();
      if (left > 0) await redis.command('SET', redis.keys.endedSession(nameOf(session)), '1', 'PX', left);
    },
    hasEnded: async (session) => (await redis.command<number>('EXISTS', redis.keys.endedSession(nameOf(session)))) === 1,
  };
}
