import { failed, meaningOfStatus, retryAfterOf, type Sent } from '@carillon/channel';
import type { ErrorCode } from '@carillon/contracts';

/** Twilio's codes whose meaning its HTTP status does not tell (https://www.twilio.com/docs/api/errors). */
const meanings: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  // No phone number, unsubscribed, no mobile, short code, landline; unreachable, blocked, unknown, landline by the carrier's word.
  ...each('ADDRESS_UNREACHABLE', 21211, 21610, 21614, 21265, 21635, 30003, 30004, 30005, 30006),
  // Credentials, account closed or unknown; a sender that is invalid, not ours or not for messages; our callback's URL; no such service, or an empty one;
  // account suspended.
  ...each('PROVIDER_MISCONFIGURED', 20003, 20005, 20404, 21212, 21603, 21606, 21609, 21659, 21660, 21661, 21701, 21703, 30002),
  // Too many calls; too many messages waiting for this sender; the day's limit.
  ...each('PROVIDER_LIMITED', 20429, 21611, 30001, 63038),
  // A country, or on a trial a number, that is not allowed: this message's fault, not that of all others.
  ...each('PROVIDER_REFUSED', 21408, 21608),
]);

/**
 * A sender that does not suit the recipient (not for this region or country; a service without a sender for it): a matter of our settings if nothing gets
 * through, and of the one number if others do.
 */
const ofSenderAndRecipient: ReadonlySet<number> = new Set([21606, 21659, 21703]);

/** Codes of failures after which there is no point in trying the number again: no such number, or none that takes text messages. */
const deadNumber: ReadonlySet<number> = new Set([21211, 21614, 21635, 30005, 30006]);

/** The recipient has texted STOP to us. */
const UNSUBSCRIBED = 21610;

function each(code: ErrorCode, ...numbers: number[]): [number, ErrorCode][] {
  return numbers.map((number) => [number, code]);
}

/** What an answer other than success means. `proven`: our settings are known to be good. */
export function refusalOf(answer: { statusCode: number; body: unknown; headers: unknown }, proven: boolean): Sent {
  const { statusCode, body, headers } = answer;
  const number = codeIn(body);
  // Its own message may quote the number or the text.
  const said = `Twilio answered ${statusCode}${number === undefined ? '' : ` with code ${number}`}.`;
  const refused = failed(verdictOf(statusCode, number, proven), said, retryAfterOf(headers as Record<string, unknown> | undefined));
  return !refused.ok && number === UNSUBSCRIBED ? { ...refused, suppress: 'unsubscribed' } : refused;
}

function verdictOf(status: number, number: number | undefined, proven: boolean): ErrorCode {
  if (proven && number !== undefined && ofSenderAndRecipient.has(number)) return 'PROVIDER_REFUSED';
  return meanings.get(number ?? 0) ?? meaningOfStatus(status) ?? 'PROVIDER_UNAVAILABLE';
}

/** What a failure that is reported later means for the delivery, and for the number. */
export function failureReported(number: number): { reason: ErrorCode; suppress?: 'invalid' | 'unsubscribed' } {
  const reason = meanings.get(number) === 'ADDRESS_UNREACHABLE' ? 'ADDRESS_UNREACHABLE' : 'PROVIDER_REFUSED';
  if (number === UNSUBSCRIBED) return { reason, suppress: 'unsubscribed' };
  return deadNumber.has(number) ? { reason, suppress: 'invalid' } : { reason };
}

function codeIn(body: unknown): number | undefined {
  const code = typeof body === 'object' && body !== null ? (body as { code?: unknown }).code : undefined;
  return typeof code === 'number' ? code : undefined;
}
