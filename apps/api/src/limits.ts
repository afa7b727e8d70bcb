import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { CarillonError } from '@carillon/contracts';
import type { FastifyReply } from 'fastify';
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';

/** Wrong keys and tokens one network may bring in a minute: a person who mistypes stays far below. */
const FAILURES_MAX = 60;
/** Seconds over which they are counted. */
const FAILURES_WINDOW = 60;
/** Credentials remembered as good: some 100 bytes each. */
const ACCEPTED_MAX = 10_000;

/** How much each caller may ask. */
export interface Limits {
  /** Takes `points` of what `who` may ask now, and says in the headers of the answer what is left. @throws RATE_LIMITED with `retryAfter` */
  take(reply: FastifyReply, who: string, points?: number): Promise<void>;
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
  return {
    async take(reply, who, cost = 1) {
      // It is refused by a value that is no error.
      const [state, refused] = await limiter.consume(who, Math.min(cost, points)).then(
        (res): [RateLimiterRes, boolean] => [res, false],
        (res: RateLimiterRes): [RateLimiterRes, boolean] => [res, true],
      );
      reply.headers({
        'ratelimit-policy': policy,
        ratelimit: `"default";r=${state.remainingPoints};t=${Math.ceil(state.msBeforeNext / 1000)}`,
      });
      if (refused) throw new CarillonError('RATE_LIMITED', { retryAfter: state.msBeforeNext });
    },
  };
}

/** Slows down who tries keys and tokens. */
export interface Guesses {
  /**
   * Lets a request be checked. A network with too many failures is not heard for the rest of the minute, but for what was accepted from it
   * before. @throws RATE_LIMITED with `retryAfter`
   */
  admit(ip: string, credential: string | undefined): Promise<void>;
  accepted(ip: string, credential: string): void;
  failed(ip: string): Promise<void>;
}

/** Failures in this process's memory, per IPv4 address or IPv6 network: who has an IPv6 address has 2^64 of them. */
export function createGuesses(): Guesses {
  const failures = new RateLimiterMemory({ points: FAILURES_MAX, duration: FAILURES_WINDOW });
  // In the order of their last use. Digests: what lies in memory must not be a list of credentials.
  const known = new Set<string>();
  const digestOf = (ip: string, credential: string) =>
    createHash('sha256')
      .update(`${networkOf(ip)} ${credential}`)
      .digest('base64');

  return {
    async admit(ip, credential) {
      const state = await failures.get(networkOf(ip));
      if (state === null || state.consumedPoints < FAILURES_MAX) return;
      if (credential !== undefined && known.has(digestOf(ip, credential))) return;
      throw new CarillonError('RATE_LIMITED', { retryAfter: Math.max(1, state.msBeforeNext) });
    },
    accepted(ip, credential) {
      const digest = digestOf(ip, credential);
      known.delete(digest);
      known.add(digest);
      const [oldest] = known;
      if (known.size > ACCEPTED_MAX && oldest !== undefined) known.delete(oldest);
    },
    async failed(ip) {
      await failures.penalty(networkOf(ip));
    },
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
