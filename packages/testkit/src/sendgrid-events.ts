import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import type { SendGridMail } from './sendgrid-mail.js';

/** What SendGrid reports of a mail. `blocked` is its `bounce` of that type; `machine_open` an `open` by a mail program on its own. */
export type SendGridEventKind =
  | 'processed'
  | 'delivered'
  | 'bounce'
  | 'blocked'
  | 'deferred'
  | 'dropped'
  | 'open'
  | 'machine_open'
  | 'click'
  | 'spamreport'
  | 'unsubscribe'
  | 'group_unsubscribe';

/** One event as it is posted: flat, custom args at the top. */
export type SendGridEvent = Record<string, unknown>;

export interface SigningOptions {
  /** Seconds since the epoch, as text or number; now if absent. */
  readonly timestamp?: number | string;
  /** A private key other than SendGrid's: a forger's. */
  readonly key?: KeyObject;
  /** Changes the body after it was signed. */
  readonly tamper?: (body: Buffer) => Buffer;
}

/** The signed event webhook. */
export interface SendGridEvents {
  /** The verification key as SendGrid shows it: SPKI DER in base64. */
  readonly publicKey: string;
  /** An event of a mail that was accepted. `extra` is laid over it. */
  of(mail: SendGridMail, kind: SendGridEventKind, extra?: SendGridEvent): SendGridEvent;
  /** The request as it would be posted; a string is posted as it is. */
  signed(events: readonly SendGridEvent[] | string, options?: SigningOptions): { headers: Record<string, string>; body: Buffer };
  /** Posts events and gives the answer. */
  deliver(url: string, events: readonly SendGridEvent[] | string, options?: SigningOptions): Promise<{ status: number; body: string }>;
}

const reader = { ip: '192.0.2.1', useragent: 'Mozilla/5.0' };
/** What each kind adds to an event. */
const kinds: Readonly<Record<SendGridEventKind, SendGridEvent>> = {
  processed: {},
  delivered: { response: '250 2.0.0 OK' },
  bounce: {
    type: 'bounce',
    status: '5.1.1',
    reason: '550 5.1.1 The email account that you tried to reach does not exist.',
    bounce_classification: 'Invalid Address',
  },
  blocked: { event: 'bounce', type: 'blocked', status: '5.7.1', reason: '554 5.7.1 Blocked', bounce_classification: 'Reputation' },
  deferred: { response: '451 4.7.1 Try again later', attempt: '2' },
  dropped: { reason: 'Bounced Address', status: '5.0.0' },
  open: { ...reader, sg_machine_open: false, sg_content_type: 'html' },
  machine_open: { ...reader, event: 'open', sg_machine_open: true, sg_content_type: 'html' },
  click: { ...reader, url: 'https://clinic.example/appointments', url_offset: { index: 0, type: 'html' } },
  spamreport: {},
  unsubscribe: {},
  group_unsubscribe: { ...reader, asm_group_id: 12 },
};

/** A webhook with a key pair of its own. */
export function createSendGridEvents(): SendGridEvents {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signed: SendGridEvents['signed'] = (events, { timestamp = Math.floor(Date.now() / 1000), key = pair.privateKey, tamper } = {}) => {
    // SendGrid's own spacing: who parses and writes again has other bytes, and no valid signature.
    const text = typeof events === 'string' ? events : `[${events.map((event) => JSON.stringify(event)).join(',\r\n')}]\r\n`;
    const body = Buffer.from(text);
    const signature = sign('sha256', Buffer.concat([Buffer.from(`${timestamp}`), body]), { key, dsaEncoding: 'der' });
    const headers = {
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'SendGrid Event API',
      'x-twilio-email-event-webhook-signature': signature.toString('base64'),
      'x-twilio-email-event-webhook-timestamp': `${timestamp}`,
    };
    return { headers, body: tamper?.(body) ?? body };
  };
  return {
    publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    of: (mail, kind, extra = {}) => ({
      email: mail.to,
      timestamp: Math.floor(Date.now() / 1000),
      'smtp-id': `<${mail.id}@geopod-ismtpd-1>`,
      event: kind,
      ...mail.customArgs,
      sg_event_id: randomBytes(16).toString('base64url'),
      sg_message_id: `${mail.id}.recvd-5f54b5d587-pczjm-1-61BA3A98-9.0`,
      ...kinds[kind],
      ...extra,
    }),
    signed,
    deliver: async (url, events, options) => {
      const { headers, body } = signed(events, options);
      const response = await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) });
      return { status: response.status, body: await response.text() };
    },
  };
}
