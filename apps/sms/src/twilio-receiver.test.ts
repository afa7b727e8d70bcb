import { startTwilio, type TwilioCallback, type TwilioMessage, type TwilioStandIn } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import twilio from 'twilio';
import { createTwilioReceiver } from './twilio-receiver.js';

const URL_OF_EVENTS = 'https://notify.clinic.test/v1/providers/twilio/events';
const REF = 'notification-1';
const FROM = '+15557654321';

let provider: TwilioStandIn;
let message: TwilioMessage;
beforeAll(async () => {
  provider = await startTwilio();
  message = {
    sid: `SM${'1'.repeat(32)}`,
    to: '+15551234567',
    from: '+15005550006',
    body: 'x',
    statusCallback: `${URL_OF_EVENTS}?ref=${REF}`,
  };
});
afterAll(() => provider.close());

const read = ({ headers, body }: TwilioCallback, url: string) =>
  createTwilioReceiver(provider.authToken).read({ url, headers, body: Buffer.from(body) });
const reported = (status: string, code?: number) => read(provider.report(message, status, code), message.statusCallback as string);
const replied = (body: string, optOutType?: 'STOP' | 'START' | 'HELP') =>
  read(provider.reply(URL_OF_EVENTS, FROM, body, optOutType), URL_OF_EVENTS);
const invalid = { code: 'SIGNATURE_INVALID' };

test.each([
  ['queued', 'sent'],
  ['sending', 'sent'],
  ['sent', 'sent'],
  ['delivered', 'delivered'],
] as const)('a message that is %s there is %s here, under our own ref', (theirs, ours) => {
  expect(reported(theirs)).toEqual([
    {
      eventId: `${message.sid}:${theirs}`,
      status: ours,
      ref: REF,
      address: message.to,
      providerMessageId: message.sid,
      at: expect.any(Number),
    },
  ]);
});

test.each([
  ['undelivered', 30005, { status: 'bounced', reason: 'ADDRESS_UNREACHABLE', suppress: 'invalid' }],
  ['undelivered', 30006, { status: 'bounced', reason: 'ADDRESS_UNREACHABLE', suppress: 'invalid' }],
  ['failed', 21610, { status: 'failed', reason: 'ADDRESS_UNREACHABLE', suppress: 'unsubscribed' }],
] as const)('%s with code %i stops the number', (status, code, expected) => {
  expect(reported(status, code)).toEqual([expect.objectContaining(expected)]);
});

test.each([
  ['undelivered', 30003, { status: 'bounced', reason: 'ADDRESS_UNREACHABLE' }],
  ['undelivered', 30007, { status: 'bounced', reason: 'PROVIDER_REFUSED' }],
  ['failed', undefined, { status: 'failed', reason: 'PROVIDER_REFUSED' }],
] as const)('%s with code %s fails the delivery and leaves the number alone', (status, code, expected) => {
  const [receipt] = reported(status, code);
  expect(receipt).toEqual(expect.objectContaining(expected));
  expect(receipt).not.toHaveProperty('suppress');
});

test('a status we do not know changes nothing', () => {
  expect(reported('partially_delivered')).toEqual([]);
  expect(reported('constructor')).toEqual([]);
});

test.each(['STOP', 'stop', ' Stop. ', 'STOPALL', 'UNSUBSCRIBE', 'cancel', 'END', 'quit'])('"%s" stops the number', (body) => {
  expect(replied(body)).toEqual([
    { eventId: expect.stringMatching(/^SM.{32}:received$/), address: FROM, suppress: 'unsubscribed', at: expect.any(Number) },
  ]);
});

test.each(['START', 'yes', 'Unstop'])('"%s" takes it back', (body) => {
  expect(replied(body)).toEqual([expect.objectContaining({ address: FROM, unsuppress: true })]);
});

test.each(['Please stop by at noon', 'I cannot start', '', '👍', 'constructor'])('"%s" says neither', (body) => {
  expect(replied(body)).toEqual([]);
});

test("Twilio's own reading of a reply comes before ours", () => {
  expect(replied('ARRET', 'STOP')).toEqual([expect.objectContaining({ suppress: 'unsubscribed' })]);
  expect(replied('DEBUT', 'START')).toEqual([expect.objectContaining({ unsuppress: true })]);
  expect(replied('STOP', 'HELP')).toEqual([]);
});

test('what was not signed by our token, for this address and of these parameters, is refused', () => {
  const url = message.statusCallback as string;
  const genuine = provider.report(message, 'delivered');
  const params = Object.fromEntries(new URLSearchParams(genuine.body));
  const refused = (callback: TwilioCallback, at = url) => expect(() => read(callback, at)).toThrow(expect.objectContaining(invalid));

  refused(provider.callback(url, params, 'another token'));
  refused({ ...genuine, body: genuine.body.replace('delivered', 'failed') });
  refused({ ...genuine, body: `${genuine.body}&ErrorCode=30005` });
  refused({ ...genuine, body: `${genuine.body}&MessageStatus=failed` });
  refused(genuine, `${URL_OF_EVENTS}?ref=another`);
  refused(genuine, url.replace('clinic', 'clinic2'));
  refused({ ...genuine, headers: {} });
  refused({ ...genuine, headers: { 'x-twilio-signature': '' } });
  expect(read(genuine, url)).toHaveLength(1);
});

test('an address is the same with and without its standard port', () => {
  const withPort = 'https://notify.clinic.test:443/v1/providers/twilio/events?ref=r';
  const without = 'https://notify.clinic.test/v1/providers/twilio/events?ref=r';
  const params = { MessageSid: 'SM1', MessageStatus: 'sent' };
  expect(read(provider.callback(withPort, params), without)).toHaveLength(1);
  expect(read(provider.callback(without, params), withPort)).toHaveLength(1);
  expect(read(provider.callback('http://a.test:8080/x', params), 'http://a.test:8080/x')).toHaveLength(1);
});

test("our reading of signatures is the SDK's own", () => {
  const params = { MessageSid: 'SM1', MessageStatus: 'delivered', To: '+15551234567', Body: 'Grüße 🔔 & = +' };
  const url = `${URL_OF_EVENTS}?ref=a%2Fb`;
  const signature = twilio.getExpectedTwilioSignature(provider.authToken, url, params);
  const callback = { method: 'POST', headers: { 'x-twilio-signature': signature }, body: new URLSearchParams(params).toString() } as const;
  expect(read(callback, url)).toEqual([expect.objectContaining({ status: 'delivered', ref: 'a/b' })]);
  expect(provider.callback(url, params).headers['x-twilio-signature']).toBe(signature);
});

test('parameters without number are turned away at once, signed or not', () => {
  const body = Array.from({ length: 20_000 }, (_, i) => `p${i}=`).join('&');
  const startedAt = Date.now();
  expect(() => read({ method: 'POST', headers: { 'x-twilio-signature': 'x' }, body }, URL_OF_EVENTS)).toThrow(
    expect.objectContaining({ code: 'FIELD_INVALID' }),
  );
  expect(Date.now() - startedAt).toBeLessThan(500);
});

test('as many parameters as reports have are read, and no larger ones are asked for', () => {
  const more = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`MediaUrl${i}`, `https://media.test/${i}`]));
  const callback = provider.callback(URL_OF_EVENTS, { MessageSid: 'SM1', From: FROM, Body: 'STOP', ...more });
  expect(read(callback, URL_OF_EVENTS)).toEqual([expect.objectContaining({ suppress: 'unsubscribed' })]);
  expect(createTwilioReceiver('token').maxBytes).toBe(64 * 1024);
});

test('a signed report without a message id is refused', () => {
  const callback = provider.callback(URL_OF_EVENTS, { MessageStatus: 'sent' });
  expect(() => read(callback, URL_OF_EVENTS)).toThrow(expect.objectContaining({ code: 'FIELD_INVALID', field: 'MessageSid' }));
});

test('the answer is an empty TwiML document, so that nobody is texted back', () => {
  expect(createTwilioReceiver('token').answer).toEqual({ type: 'text/xml', body: '<Response/>' });
});
