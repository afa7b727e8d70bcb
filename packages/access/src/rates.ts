import { isIP, isIPv6 } from 'node:net';
import { LRUCache } from 'lru-cache';
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';

/** Keys one rate knows at a time: some 300 bytes each. Who comes with more of them has those forgotten that were silent longest. */
const KEYS_MAX = 100_000;

/** What came of taking from a rate. Times are ms. */
export type Taken =
  | { readonly ok: true; readonly remaining: number; readonly resetMs: number }
  | { readonly ok: false; readonly retryAfter: number };

/** So much for each key in each window of time. */
export interface Rate {
  /** Takes `cost` of what `key` may have now. What is refused counts as well, until the window of this key is over. Never rejects. */
  take(key: string, cost?: number): Promise<Taken>;
}

/**
 * A rate in this process's memory: `count` for each key in each window of `window` ms, at once if they like; a key's window begins with what it
 * takes first. Remembers the 100,000 keys that came last. Needs no closing.
 */
export function createRate({ count, window }: { readonly count: number; readonly window: number }): Rate {
  const limiter = new RateLimiterMemory({ points: count, duration: window / 1000, keyPrefix: '' });
  // The limiter holds what comes within a window, however much that is.
  const recent = new LRUCache<string, true>({ max: KEYS_MAX, dispose: (_, key) => void limiter.delete(key) });
  return {
    take(key, cost = 1) {
      if (recent.get(key) === undefined) recent.set(key, true);
      // It refuses by a value that is no error.
      return limiter.consume(key, cost).then(
        ({ remainingPoints, msBeforeNext }): Taken => ({ ok: true, remaining: remainingPoints, resetMs: msBeforeNext }),
        ({ msBeforeNext }: RateLimiterRes): Taken => ({ ok: false, retryAfter: Math.max(1, Math.ceil(msBeforeNext)) }),
      );
    },
  };
}

/**
 * The address, or the first 64 bits of an IPv6 one: who has an IPv6 address has 2^64 of them. A port, as some proxies name it, is left out. All
 * that is no address counts as one network, the empty text: it may be of any length, and as many different ones as somebody likes.
 */
export function networkOf(address: string): string {
  const [, bracketed, bare] = /^(?:\[([^\]]{2,64})\]|(\d+\.\d+\.\d+\.\d+)):\d{1,5}$/.exec(address) ?? [];
  const ip = bracketed ?? bare ?? address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(ip)) return isIP(ip) === 0 ? '' : ip;
  const [head = [], tail = []] = ip.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}
