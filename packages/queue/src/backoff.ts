import type { CarillonError } from '@carillon/contracts';

/** The first pause before a retry is at most this, in ms; it doubles with every try. */
const BASE_MS = 500;
/** No pause is longer than this, in ms, so that work moves soon after a long outage. */
const CEILING_MS = 60_000;

/**
 * The pause before the next try, ms: full jitter (a random part of an exponentially growing span), so that what failed together does not
 * come back together; never less than the error's `retryAfter`.
 * See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoff(attemptsMade: number, error: Pick<CarillonError, 'retryAfter'>): number {
  const span = Math.min(CEILING_MS, BASE_MS * 2 ** Math.max(0, attemptsMade - 1));
  return Math.max(error.retryAfter ?? 0, Math.ceil(Math.random() * span));
}
