import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Receipt, ReceivedEvents, Receiver } from '@carillon/channel';
import { CarillonError } from '@carillon/contracts';
import { failureReported } from './twilio-codes.js';

/** What becomes of a message, by Twilio's word for it. To be queued there is to be sent, for us: it settles an unknown outcome. */
const statuses: Readonly<Record<string, NonNullable<Receipt['status']>>> = {
  accepted: 'sent',
  scheduled: 'sent',
  queued: 'sent',
  sending: 'sent',
  sent: 'sent',
  delivered: 'delivered',
  read: 'delivered',
  undelivered: 'bounced',
  failed: 'failed',
  canceled: 'failed',
};

/** Bytes of a report, which has some twenty short parameters and at most a text of 1600 characters. */
const MAX_BYTES = 64 * 1024;
/** Parameters of a report: ten pictures and what marketplace services add make some sixty. */
const MAX_PARAMETERS = 500;

/** What Twilio itself takes for stop and start where it is not told otherwise. */
const STOP = new Set(['STOP', 'STOPALL', 'UNSUBSCRIBE', 'CANCEL', 'END', 'QUIT', 'OPTOUT', 'REVOKE']);
const START = new Set(['START', 'YES', 'UNSTOP']);

/** Reads Twilio's callbacks: what became of a message, and what people text back. */
export function createTwilioReceiver(authToken: string): Receiver {
  return {
    channel: 'sms',
    maxBytes: MAX_BYTES,
    answer: { type: 'text/xml', body: '<Response/>' },
    read(request) {
      const form = readForm(request.body);
      verify(request, form, authToken);
      const field = (name: string) => form.get(name)?.[0] || undefined;
      const sid = field('MessageSid');
      if (sid === undefined) throw new CarillonError('FIELD_INVALID', { field: 'MessageSid' });
      const status = field('MessageStatus');
      return status === undefined || status === 'received' ? readReply(sid, field) : readStatus({ sid, status, url: request.url }, field);
    },
  };
}

/** Values by name, in the order in which they came. In one pass, and not of any length: anybody may post here, and this comes before the signature. */
function readForm(body: Buffer): Map<string, string[]> {
  const form = new Map<string, string[]>();
  let count = 0;
  for (const [name, value] of new URLSearchParams(body.toString('utf8'))) {
    if (++count > MAX_PARAMETERS) throw new CarillonError('FIELD_INVALID', { message: `More than ${MAX_PARAMETERS} parameters at once.` });
    const values = form.get(name);
    if (values) values.push(value);
    else form.set(name, [value]);
  }
  return form;
}

type Field = (name: string) => string | undefined;

function readStatus({ sid, status, url }: { sid: string; status: string; url: string }, field: Field): Receipt[] {
  const known = Object.hasOwn(statuses, status) ? statuses[status] : undefined;
  if (known === undefined) return [];
  const ref = new URL(url).searchParams.get('ref');
  const [address, code] = [field('To'), Number(field('ErrorCode') ?? 0)];
  return [
    {
      eventId: `${sid}:${status}`,
      status: known,
      providerMessageId: sid,
      at: Date.now(),
      ...(ref && { ref }),
      ...(address && { address }),
      ...((known === 'bounced' || known === 'failed') && failureReported(code)),
    },
  ];
}

function readReply(sid: string, field: Field): Receipt[] {
  const address = field('From');
  const wish = field('OptOutType')?.toUpperCase() ?? wishIn(field('Body'));
  if (address === undefined || (wish !== 'STOP' && wish !== 'START')) return [];
  const about = { eventId: `${sid}:received`, address, at: Date.now() };
  return [wish === 'STOP' ? { ...about, suppress: 'unsubscribed' } : { ...about, unsuppress: true }];
}

/** A word by itself counts, in any case and with a full stop. */
function wishIn(body = ''): string | undefined {
  const word = body.toUpperCase().replace(/^[^A-Z]+|[^A-Z]+$/g, '');
  if (STOP.has(word)) return 'STOP';
  return START.has(word) ? 'START' : undefined;
}

/** Twilio signs the URL as it has it and the parameters sorted by name (https://www.twilio.com/docs/usage/security). */
function verify({ url, headers }: ReceivedEvents, form: ReadonlyMap<string, readonly string[]>, authToken: string): void {
  const given = headers['x-twilio-signature'];
  const params = [...form.keys()].sort().flatMap((name) => [...new Set(form.get(name))].sort().map((value) => name + value));
  const isSigned = urlsAsSigned(url).some((candidate) => {
    const expected = createHmac('sha1', authToken)
      .update(candidate + params.join(''), 'utf8')
      .digest();
    const claimed = Buffer.from(typeof given === 'string' ? given : '', 'base64');
    return claimed.length === expected.length && timingSafeEqual(claimed, expected);
  });
  if (!isSigned) throw new CarillonError('SIGNATURE_INVALID');
}

/** With and without the port: which of them is signed has changed over the years. */
function urlsAsSigned(url: string): string[] {
  const [, scheme = '', host = '', port, rest = ''] = /^(https?:\/\/)([^/?#]*?)(:\d+)?((?:[/?#].*)?)$/.exec(url) ?? [];
  return [url, `${scheme}${host}${port ? '' : scheme === 'https://' ? ':443' : ':80'}${rest}`];
}
