import { setTimeout as sleep } from 'node:timers/promises';
import { loadScript, type Redis } from '@carillon/redis';
import type { VerifiedToken } from './token-verifier.js';

/** How long a revocation is remembered, ms: 400 days, longer than any client token should live, which is at most 30 days for our own. */
const KEEP_MS = 400 * 24 * 3600 * 1000;

const script = loadScript(new URL('../lua/revoke.lua', import.meta.url));

/** Tokens of a user that count no more. */
export interface Revocations {
  /**
   * Revokes all tokens of a user that were issued until now; live sockets hear of it at once. A token issued after this has resolved counts,
   * by a clock that agrees with this process's. @throws REDIS_UNAVAILABLE
   */
  revoke(userId: string): Promise<void>;
  /** Revokes those that were issued before a time, ms since the epoch: again, after a restore. @throws REDIS_UNAVAILABLE */
  revokeBefore(userId: string, time: number): Promise<void>;
  /**
   * Since when tokens of these users count, ms since the epoch: one issued before is revoked, and so is one that does not say when it was
   * issued. 0 for users who never had any revoked. In order. @throws REDIS_UNAVAILABLE
   */
  since(userIds: readonly string[]): Promise<number[]>;
}

/**
 * Revocations in Redis: one key per user, kept for 400 days, announced as `revoked|<ms>` on the channel of the user's inbox. It closes nothing.
 */
export function createRevocations(redis: Redis): Revocations {
  const mark = async (userId: string, since: number) => {
    const publish = redis.cluster ? 'SPUBLISH' : 'PUBLISH';
    const args = [since, KEEP_MS, publish, redis.keys.inboxChannel(userId)];
    await redis.run<number>(script, { keys: [redis.keys.revoked(userId)], args });
  };
  return {
    revokeBefore: mark,
    revoke: async (userId) => {
      // The millisecond that runs is over before this resolves: what was issued in it, before or after, is told apart by nothing else.
      const since = Date.now() + 1;
      await mark(userId, since);
      while (Date.now() < since) await sleep(1);
    },
    since: async (userIds) => {
      const moments = await Promise.all(userIds.map((userId) => redis.command<string | null>('GET', redis.keys.revoked(userId))));
      return moments.map((moment) => Number(moment ?? 0));
    },
  };
}

/** Whether a token was revoked, given since when tokens of its user count (see `Revocations.since`). */
export function isRevoked(token: Pick<VerifiedToken, 'issuedAt'>, since: number): boolean {
  return since > 0 && (token.issuedAt === undefined || token.issuedAt < since);
}
