import { isIPv6 } from 'node:net';
import { CarillonError } from '@carillon/contracts';
import type { FastifyReply } from 'fastify';
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';

/** Wrong keys and tokens one network is told of as such in a minute: a person who mistypes stays far below. */
const FAILURES_MAX = 60;
/** Seconds over which they are counted. */
const FAILURES_WINDOW = 60;

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
  const limiter = new RateLimiterMemory({ points, duration: points / rate / 1000 });
  const policy = `"default";q=${points};w=${Math.ceil(limiter.duration)}`;
  const take = async (reply: FastifyReply, who: string, cost: number) => {
    // It is refused by a value that is no error.
    const [state, refused] = await limiter.consume(who, cost).then(
      (res): [RateLimiterRes, boolean] => [res, false],
      (res: RateLimiterRes): [RateLimiterRes, boolean] => [res, true],
    );
    reply.headers({
      'ratelimit-policy': policy,
      ratelimit: `"default";r=${state.remainingPoints};t=${Math.ceil(state.msBeforeNext / 1000)}`,
    });
    if (refused) throw new CarillonError('RATE_LIMITED', { retryAfter: state.msBeforeNext });
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

/** Failures in this process's memory, per IPv4 address or IPv6 network: who has an IPv6 address has 2^64 of them. */
export function createGuesses(): Guesses {
  const failures = new RateLimiterMemory({ points: FAILURES_MAX, duration: FAILURES_WINDOW });
  return {
    failed: (ip) =>
      failures.consume(networkOf(ip)).then(
        () => undefined,
        ({ msBeforeNext }: RateLimiterRes) => new CarillonError('RATE_LIMITED', { retryAfter: Math.max(1, msBeforeNext) }),
      ),
  };
}

/** The address, or the first 64 bits of an IPv6 one. */
export function networkOf(ip: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped !== undefined || !isIPv6(ip)) return mapped ?? ip;
  const [head = [], tail = []] = ip.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}
