import { randomBytes } from 'node:crypto';
import { type Call, loadScript, type Redis } from '@carillon/redis';

/** Milliseconds a gateway's count is believed without hearing of it: what one that died leaves behind is gone by then. */
const LEASE_MS = 90_000;
/** Milliseconds between two renewals: two may fail. */
const RENEW_MS = 30_000;

const script = loadScript(new URL('../lua/seat.lua', import.meta.url));

/** Limits how many sockets a user has, across all gateways. */
export interface Seats {
  /** Takes a place for one socket of a user. False if the user has too many. @throws REDIS_UNAVAILABLE */
  take(userId: string): Promise<boolean>;
  /** Gives a place back that was taken. */
  giveBack(userId: string): void;
  /** Gives all places back. */
  close(): Promise<void>;
}

/**
 * Seats in Redis: one hash per user with the number of sockets at each gateway, believed for 90 s and renewed every 30 s. Where counts cannot be
 * written they lapse, and a user has a few sockets too many for a while rather than none.
 */
export function createSeats(redis: Redis, most: number): Seats {
  const gateway = randomBytes(9).toString('base64url');
  const sockets = new Map<string, number>();
  const change = (userId: string, by: 1 | -1): void => {
    const count = (sockets.get(userId) ?? 0) + by;
    if (count > 0) sockets.set(userId, count);
    else sockets.delete(userId);
  };
  const callOf = (userId: string, anyway: 0 | 1): Call => ({
    keys: [redis.keys.sockets(userId)],
    args: [gateway, sockets.get(userId) ?? 0, anyway],
  });
  // The same for all calls, so that they stay in order: each writes a number and not a difference.
  const shared = [LEASE_MS, most];
  const write = (calls: readonly Call[]) => redis.batch<number>(script, shared, calls);

  const renewal = setInterval(() => void write([...sockets.keys()].map((userId) => callOf(userId, 1))), RENEW_MS).unref();

  return {
    async take(userId) {
      // Counted here first: of two that come at once, both are seen by the script of either.
      change(userId, 1);
      const [outcome] = await write([callOf(userId, 0)]);
      if (outcome?.ok && outcome.value === 1) return true;
      change(userId, -1);
      // It may have been written: by this call, if its answer was lost, or by another that counted it meanwhile.
      void write([callOf(userId, 1)]);
      if (outcome && !outcome.ok) throw outcome.error;
      return false;
    },
    giveBack(userId) {
      change(userId, -1);
      void write([callOf(userId, 1)]);
    },
    async close() {
      clearInterval(renewal);
      const users = [...sockets.keys()];
      sockets.clear();
      await write(users.map((userId) => callOf(userId, 1)));
    },
  };
}
