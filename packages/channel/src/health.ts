import type { CarillonError } from '@carillon/contracts';
import type { Breaker, Showing } from './breaker.js';
import type { Sent } from './provider.js';

/** How long a provider that refuses our credentials is left alone, ms. */
export const MISCONFIGURED_PAUSE_MS = 60_000;
/** The longest a provider is left alone because it asks for it, ms; what waits is held, and asks again. */
const LONGEST_ASKED_PAUSE_MS = 10 * 60_000;

/** Surely not sent, and perhaps by another provider or later. */
export const TRANSIENT: ReadonlySet<string> = new Set(['PROVIDER_UNAVAILABLE', 'PROVIDER_LIMITED', 'PROVIDER_MISCONFIGURED']);

/** A limit of one device, number or mailbox is no limit of ours: it is as much as a refusal of the address, for now. */
const isRecipients = ({ code, field }: CarillonError) => code === 'PROVIDER_LIMITED' && field === 'to';

/** What one call shows of the provider's health. That it refuses a message or an address shows that it works. */
export function showingOf(sent: readonly Sent[]): Showing {
  const codes = sent.map((one) => (one.ok || isRecipients(one.error) ? 'sent' : one.error.code));
  if (codes.some((code) => !TRANSIENT.has(code) && code !== 'PROVIDER_OUTCOME_UNKNOWN')) return 'works';
  return codes.some((code) => code === 'PROVIDER_UNAVAILABLE' || code === 'PROVIDER_OUTCOME_UNKNOWN') ? 'fails' : 'nothing';
}

/** Leaves a provider alone that asks for it, or that does not take our credentials; answers with the error in that case. */
export function rest(breaker: Breaker, sent: readonly Sent[]): CarillonError | undefined {
  const errors = sent.flatMap((one) => (one.ok ? [] : [one.error]));
  const refusal = errors.find(({ code }) => code === 'PROVIDER_MISCONFIGURED');
  // What took another message of the same call takes our credentials.
  if (refusal && sent.every((one) => !one.ok)) {
    breaker.pause(MISCONFIGURED_PAUSE_MS);
    return refusal;
  }
  const limited = errors.filter((error) => error.code === 'PROVIDER_LIMITED' && !isRecipients(error));
  // What else was in the same call was not limited.
  if (limited.length < sent.length) return undefined;
  const asked = Math.max(...limited.map(({ retryAfter = 0 }) => retryAfter));
  if (asked > 0) breaker.pause(Math.min(asked, LONGEST_ASKED_PAUSE_MS));
  return undefined;
}
