import { CarillonError, type ErrorCode } from '@carillon/contracts';
import type { Message, Sent } from './provider.js';

/** A message that was not sent, or perhaps. `said` reaches logs: name codes and statuses in it, never an address, a token or content. */
export function failed(code: ErrorCode, said: string, retryAfter?: number): Sent {
  return { ok: false, error: new CarillonError(code, { message: said, ...(retryAfter !== undefined && { retryAfter }) }) };
}

/**
 * Hands messages over, each by a call of its own, and answers for each, in order. With an aborted signal there is no call. A `CarillonError` that
 * `hand` throws is its message's; anything else it throws leaves that message's outcome unknown, and goes no further: it may quote the message.
 */
export async function handEach(
  messages: readonly Message[],
  signal: AbortSignal,
  hand: (message: Message, signal: AbortSignal) => Promise<Sent>,
): Promise<Sent[]> {
  if (signal.aborted) return messages.map(() => failed('PROVIDER_UNAVAILABLE', 'The time was over before the call.'));
  return Promise.all(
    messages.map(async (message) => {
      try {
        return await hand(message, signal);
      } catch (thrown) {
        return { ok: false, error: thrown instanceof CarillonError ? thrown : new CarillonError('PROVIDER_OUTCOME_UNKNOWN') };
      }
    }),
  );
}

/** What `work` comes to; undefined if the signal is aborted, and `grace` ms have passed since, before it is known. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, grace = 0): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  let end = () => {};
  const over = new Promise<undefined>((resolve) => {
    end = () => {
      if (grace > 0) timer = setTimeout(resolve, grace, undefined);
      else resolve(undefined);
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
  try {
    // In this order: with a signal that was aborted before, even work that is done comes too late.
    return await Promise.race([over, work]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

/** The longest pause that is believed, ms: a push endpoint is anybody's, and may ask for years. */
const LONGEST_RETRY_AFTER_MS = 24 * 3600 * 1000;

/** `Retry-After` (RFC 9110; seconds or a date) as ms from now, at most a day; undefined where it is absent or says nothing. Header names are in lower case. */
export function retryAfterOf(headers: Readonly<Record<string, unknown>> | undefined): number | undefined {
  const text = String(headers?.['retry-after'] ?? '').trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, ms));
}

/** What an HTTP status by itself says of a message: see `Sent`; undefined where it says nothing, or that it was taken. */
export function meaningOfStatus(status: number): ErrorCode | undefined {
  if (status >= 500) return 'PROVIDER_UNAVAILABLE';
  if (status === 429) return 'PROVIDER_LIMITED';
  // 404 and 405: what we call is not the provider's address for messages, but some other server or path.
  if ([401, 403, 404, 405].includes(status)) return 'PROVIDER_MISCONFIGURED';
  if (status >= 400) return 'PROVIDER_REFUSED';
  // Whoever redirects is not the provider: the address is wrong, or something stands in between.
  return status >= 300 ? 'PROVIDER_MISCONFIGURED' : undefined;
}
