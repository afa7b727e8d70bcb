import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Receipt, ReceivedEvents, Receiver } from '@carillon/channel';
import { CarillonError } from '@carillon/contracts';

/** How far the time of a request may be from ours, s: older ones may be repeats by somebody who overheard them. */
const WINDOW_S = 300;
/** Events in one request; SendGrid posts what gathers within a second or so. */
const MAX_EVENTS = 10_000;
/** Characters an id may have. */
const MAX_ID = 512;
const SIGNATURE = 'x-twilio-email-event-webhook-signature';
const TIMESTAMP = 'x-twilio-email-event-webhook-timestamp';

type Event = Readonly<Record<string, unknown>>;
/** What an event says, beside which delivery it is about. */
type Said = Omit<Receipt, 'eventId' | 'ref' | 'at' | 'providerMessageId'>;

/**
 * The receiver of SendGrid's signed event webhook. `publicKey` is the verification key as SendGrid shows it, or as PEM.
 *
 * @throws CONFIGURATION_INVALID if it is no such key
 */
export function createSendGridReceiver(publicKey: string, now: () => number = Date.now): Receiver {
  const key = readKey(publicKey);
  return {
    channel: 'email',
    read(request) {
      checkSignature(request, key, now());
      return readEvents(request.body).flatMap((event) => receiptOf(event) ?? []);
    },
  };
}

function readKey(text: string): KeyObject {
  try {
    const base64 = text.replace(/-----[A-Z ]+-----/g, '').replace(/\s/g, '');
    const key = createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' });
    if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  } catch {
    // What is wrong with it does not matter.
  }
  throw new CarillonError('CONFIGURATION_INVALID', {
    message: 'SENDGRID_WEBHOOK_PUBLIC_KEY is not the verification key of a signed event webhook (ECDSA, P-256).',
  });
}

/** The signature is over time and body as they came, so the body is verified before it is read. */
function checkSignature({ headers, body }: ReceivedEvents, key: KeyObject, now: number): void {
  const timestamp = headers[TIMESTAMP];
  const signature = headers[SIGNATURE];
  if (typeof timestamp !== 'string' || typeof signature !== 'string' || !/^\d{1,12}$/.test(timestamp))
    throw new CarillonError('SIGNATURE_INVALID');
  if (Math.abs(now / 1000 - Number(timestamp)) > WINDOW_S) throw new CarillonError('SIGNATURE_INVALID');
  const signed = Buffer.concat([Buffer.from(timestamp), body]);
  if (!verify('sha256', signed, { key, dsaEncoding: 'der' }, Buffer.from(signature, 'base64')))
    throw new CarillonError('SIGNATURE_INVALID');
}

function readEvents(body: Buffer): Event[] {
  let events: unknown;
  try {
    events = JSON.parse(body.toString());
  } catch {
    events = undefined;
  }
  if (!Array.isArray(events)) throw new CarillonError('FIELD_INVALID', { message: 'The body is not a JSON list of events.' });
  if (events.length > MAX_EVENTS) throw new CarillonError('FIELD_INVALID', { message: `More than ${MAX_EVENTS} events at once.` });
  return events.filter((event): event is Event => typeof event === 'object' && event !== null);
}

/** Undefined for what is not ours, or says nothing. */
function receiptOf(event: Event): Receipt | undefined {
  const { sg_event_id: eventId, sg_message_id: messageId, carillon: ref, timestamp } = event;
  if (!isId(eventId) || !isId(ref) || typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp) || timestamp < 0) return undefined;
  const said = saidBy(event);
  if (said === undefined) return undefined;
  // `X-Message-Id` of the answer, and behind it the path within SendGrid.
  const providerMessageId = isId(messageId) ? messageId.replace(/\.(recvd|filter).*$/s, '') : undefined;
  return { eventId, ref, at: timestamp * 1000, ...(providerMessageId && { providerMessageId }), ...said };
}

const isId = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= MAX_ID;

function saidBy(event: Event): Said | undefined {
  switch (event.event) {
    case 'processed':
      return { status: 'sent' };
    case 'delivered':
      return { status: 'delivered' };
    case 'bounce':
      // `blocked` is the recipient's server refusing this mail or this sender, for now: the address lives.
      return event.type === 'bounce'
        ? { status: 'bounced', reason: 'ADDRESS_UNREACHABLE', ...suppressed(event, 'bounced') }
        : { status: 'bounced', reason: 'PROVIDER_REFUSED' };
    case 'dropped':
      return { status: 'failed', reason: 'PROVIDER_REFUSED' };
    case 'open':
      // Apple's mail opens everything on its own, read or not.
      return event.sg_machine_open === true ? undefined : { engagement: 'opened' };
    case 'click':
      return { engagement: 'clicked' };
    case 'spamreport':
      return suppressed(event, 'complaint');
    case 'unsubscribe':
    case 'group_unsubscribe':
      return { unsubscribed: true };
    default:
      return undefined;
  }
}

const suppressed = ({ email }: Event, suppress: NonNullable<Receipt['suppress']>): Said => ({
  suppress,
  ...(typeof email === 'string' && { address: email }),
});
