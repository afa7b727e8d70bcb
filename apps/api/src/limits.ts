import { createRate, networkOf } from '@carillon/access';
import { CarillonError } from '@carillon/contracts';
import type { FastifyReply } from 'fastify';

/** Wrong keys and tokens one network is told of as such in a minute: a person who mistypes stays far below. */
const FAILURES_MAX = 60;
/** Time over which they are counted, ms. */
const FAILURES_WINDOW = 60_000;

/** How much each caller may ask. */
export interface Limits {
  /** Takes a point of what `who` may ask now, and says in the headers of the answer what is left. @throws RATE_LIMITED with `retryAfter` */
  take(reply: FastifyReply, who: string): Promise<void>;
  /** Takes `points` more for the same request; all that there are if it costs more than that. @throws RATE_LIMITED with `retryAfter` */
  takeMore(reply: FastifyReply, who: string, points: number): Promise<void>;
}

/**
 * Limits in this process's memory: for each caller one second's worth of `rate` (requests per ms) in each second, at once if they like. What
 * costs more than that passes when nothing else was asked. The headers are those of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy`
 * with quota and window, `RateLimit` with what remains and the seconds until it is whole again.
 */
export function createLimits(rate: number): Limits {
  const points = Math.max(1, Math.floor(rate * 1000));
  const window = points / rate;
  const quota = createRate({ count: points, window });
  const policy = `"default";q=${points};w=${Math.ceil(window / 1000)}`;
  const take = async (reply: FastifyReply, who: string, cost: number) => {
    const taken = await quota.take(who, cost);
    const [remaining, resetMs] = taken.ok ? [taken.remaining, taken.resetMs] : [0, taken.retryAfter];
    reply.headers({ 'ratelimit-policy': policy, ratelimit: `"default";r=${remaining};t=${Math.ceil(resetMs / 1000)}` });
    if (!taken.ok) throw new CarillonError('RATE_LIMITED', { retryAfter: taken.retryAfter });
  };
  return {
    take: (reply, who) => take(reply, who, 1),
    // The request itself has taken one.
    takeMore: (reply, who, more) => take(reply, who, Math.min(more, points - 1)),
  };
}

/** Tells a network that tries keys and tokens to stop. What is right always passes: others may come from the same address. */
export interface Guesses {
  /** Counts a wrong credential. @returns RATE_LIMITED with `retryAfter`, to be answered instead, once a network had too many in a minute */
  failed(ip: string): Promise<CarillonError | undefined>;
}

/** Failures in this process's memory, per IPv4 address or IPv6 network of 64 bits. */
export function createGuesses(): Guesses {
  const failures = createRate({ count: FAILURES_MAX, window: FAILURES_WINDOW });
  return {
    failed: async (ip) => {
      const taken = await failures.take(networkOf(ip));
      return taken.ok ? undefined : new CarillonError('RATE_LIMITED', { retryAfter: taken.retryAfter });
    },
  };
}
