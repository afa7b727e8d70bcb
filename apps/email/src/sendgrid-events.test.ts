import { generateKeyPairSync } from 'node:crypto';
import type { Receipt, ReceivedEvents } from '@carillon/channel';
import { type SendGridEventKind, type SendGridMail, type SendGridStandIn, type SigningOptions, startSendGrid } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { message, send } from '../test/message.js';
import { createSendGrid } from './sendgrid.js';
import { createSendGridReceiver } from './sendgrid-events.js';

let sendgrid: SendGridStandIn;
let mail: SendGridMail;
beforeAll(async () => {
  sendgrid = await startSendGrid();
  const provider = createSendGrid({ apiKey: sendgrid.apiKey, baseUrl: sendgrid.baseUrl, from: 'us@clinic.example' });
  await send(provider, message({ ref: '01J/dev' }));
  await provider.close?.();
  [mail] = sendgrid.accepted as [SendGridMail];
});
afterAll(() => sendgrid.close());

const request = (events: Parameters<SendGridStandIn['events']['signed']>[0], options?: SigningOptions): ReceivedEvents => ({
  url: 'https://clinic.example/v1/providers/sendgrid/events',
  ...sendgrid.events.signed(events, options),
});
const read = (given: ReceivedEvents, now?: () => number): Receipt[] => createSendGridReceiver(sendgrid.events.publicKey, now).read(given);
const delivered = () => [sendgrid.events.of(mail, 'delivered')];
const codeOf = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'nothing thrown';
};

const rows: [SendGridEventKind, Partial<Receipt> | undefined][] = [
  ['processed', { status: 'sent' }],
  ['delivered', { status: 'delivered' }],
  ['bounce', { status: 'bounced', reason: 'ADDRESS_UNREACHABLE', suppress: 'bounced', address: 'ada@home.example' }],
  ['blocked', { status: 'bounced', reason: 'PROVIDER_REFUSED' }],
  ['dropped', { status: 'failed', reason: 'PROVIDER_REFUSED' }],
  ['deferred', undefined],
  ['open', { engagement: 'opened' }],
  ['machine_open', undefined],
  ['click', { engagement: 'clicked' }],
  ['spamreport', { suppress: 'complaint', address: 'ada@home.example' }],
  ['unsubscribe', { unsubscribed: true }],
  ['group_unsubscribe', { unsubscribed: true }],
];
test.each(rows)('%s is %j', (kind, said) => {
  const event = sendgrid.events.of(mail, kind, { timestamp: 1_700_000_000 });
  const expected = { eventId: event.sg_event_id, ref: '01J/dev', at: 1_700_000_000_000, providerMessageId: mail.id, ...said };
  expect(read(request([event]))).toEqual(said ? [expected] : []);
});

test('a batch is read in order, and a repeat keeps its id', () => {
  const [one, other] = [sendgrid.events.of(mail, 'delivered'), sendgrid.events.of(mail, 'processed')];
  expect(read(request([one, other, one])).map(({ eventId }) => eventId)).toEqual([one, other, one].map((event) => event?.sg_event_id));
});

test('what is not ours, not known or not whole is passed over, and the rest is read', () => {
  const strange = [
    sendgrid.events.of({ ...mail, customArgs: {} }, 'delivered'),
    sendgrid.events.of(mail, 'delivered', { carillon: 5 }),
    sendgrid.events.of(mail, 'delivered', { carillon: 'x'.repeat(1000) }),
    sendgrid.events.of(mail, 'delivered', { event: 'account_status_change' }),
    sendgrid.events.of(mail, 'delivered', { event: { toString: 'delivered' } }),
    sendgrid.events.of(mail, 'delivered', { sg_event_id: undefined }),
    sendgrid.events.of(mail, 'delivered', { timestamp: 'yesterday' }),
    sendgrid.events.of(mail, 'delivered', { timestamp: -1 }),
  ];
  const text = JSON.stringify([null, 1, 'x', [], ...strange, ...delivered()]);
  expect(read(request(text))).toHaveLength(1);
});

test('a bounce of a type we do not know suppresses nothing', () => {
  expect(read(request([sendgrid.events.of(mail, 'bounce', { type: 'expired' })]))[0]).not.toHaveProperty('suppress');
});

test('an older form of message id is cut where its path begins', () => {
  const event = sendgrid.events.of(mail, 'delivered', { sg_message_id: '14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0' });
  expect(read(request([event]))[0]?.providerMessageId).toBe('14c5d75ce93.dfd.64b469');
});

test.each(['nonsense', '{}', '"x"', ''])('a signed body of %j is FIELD_INVALID', (text) => {
  expect(codeOf(() => read(request(text)))).toBe('FIELD_INVALID');
});

test('more events than SendGrid gathers are FIELD_INVALID', () => {
  expect(codeOf(() => read(request(JSON.stringify(Array(10_001).fill(1)))))).toBe('FIELD_INVALID');
});

test('what another key signed, or was altered after, is SIGNATURE_INVALID', () => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  expect(codeOf(() => read(request(delivered(), { key })))).toBe('SIGNATURE_INVALID');
  for (const tamper of [
    (body: Buffer) => Buffer.concat([body, Buffer.from('\n')]),
    (body: Buffer) => Buffer.from(JSON.stringify(JSON.parse(body.toString()))),
    () => Buffer.alloc(0),
  ]) {
    expect(codeOf(() => read(request(delivered(), { tamper })))).toBe('SIGNATURE_INVALID');
  }
});

test.each([
  ['x-twilio-email-event-webhook-signature', undefined],
  ['x-twilio-email-event-webhook-signature', ''],
  ['x-twilio-email-event-webhook-signature', 'nonsense'],
  ['x-twilio-email-event-webhook-signature', 'MEUCIQ=='],
  ['x-twilio-email-event-webhook-signature', ['a', 'b']],
  ['x-twilio-email-event-webhook-timestamp', undefined],
  ['x-twilio-email-event-webhook-timestamp', `${Math.floor(Date.now() / 1000) + 60}`],
])('with %s %j it is SIGNATURE_INVALID', (name, value) => {
  const whole = request(delivered());
  expect(codeOf(() => read({ ...whole, headers: { ...whole.headers, [name]: value } }))).toBe('SIGNATURE_INVALID');
});

test('a signed time of anything but digits is SIGNATURE_INVALID', () => {
  for (const timestamp of ['', 'soon', '1e9', '-1', ' 1', '1700000000.5']) {
    expect(codeOf(() => read(request(delivered(), { timestamp })))).toBe('SIGNATURE_INVALID');
  }
});

test('five minutes to either side are accepted, more are not', () => {
  const now = 1_700_000_000;
  const at = (timestamp: number) => codeOf(() => read(request(delivered(), { timestamp }), () => now * 1000));
  expect([now - 300, now, now + 300].map(at)).toEqual(Array(3).fill('nothing thrown'));
  expect([now - 301, now + 301].map(at)).toEqual(Array(2).fill('SIGNATURE_INVALID'));
});

test('the key is taken as SendGrid shows it and as PEM, and nothing else is', () => {
  const { publicKey } = sendgrid.events;
  const pem = `-----BEGIN PUBLIC KEY-----\n${publicKey.replace(/(.{64})/g, '$1\n')}\n-----END PUBLIC KEY-----\n`;
  expect(createSendGridReceiver(pem).read(request(delivered()))).toHaveLength(1);
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  const other = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  for (const text of ['nonsense', publicKey.slice(8), rsa, other]) {
    expect(codeOf(() => createSendGridReceiver(text))).toBe('CONFIGURATION_INVALID');
  }
});
