import { setTimeout as sleep } from 'node:timers/promises';
import { CarillonError } from '@carillon/contracts';
import { loadScript, type Redis } from '@carillon/redis';

/** Longest wait for a turn in the worker itself, ms; beyond, the job goes back to its queue. */
const LONGEST_WAIT_MS = 1000;

/** The longest a job is sent away for, ms: so often at least it is asked again, and what is urgent has a chance. */
const LONGEST_AWAY_MS = 60_000;

const rateScript = loadScript(new URL('../lua/rate.lua', import.meta.url));

/**
 * One rate of calls for all workers of a channel, kept in Redis (GCRA). `take` waits for the turn of `calls` calls.
 *
 * @throws CHANNEL_LIMITED with `retryAfter`, when it is too long to wait; REDIS_UNAVAILABLE
 */
export function createRate(redis: Redis, channel: string, perMs: number) {
  return {
    async take(calls: number, signal: AbortSignal): Promise<void> {
      const call = { keys: redis.keys.rate(channel), args: [calls, 1 / perMs, LONGEST_WAIT_MS, LONGEST_AWAY_MS] };
      const wait = await redis.run<number>(rateScript, call);
      if (wait < 0) throw new CarillonError('CHANNEL_LIMITED', { retryAfter: -wait });
      if (wait > 0) await sleep(wait, undefined, { signal });
    },
  };
}
