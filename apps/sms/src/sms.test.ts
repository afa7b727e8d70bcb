import { messageTo, never } from '@carillon/channel/testing';
import { configFromOptions, type Options } from '@carillon/service';
import { redirectHosts, startTwilio, type TwilioStandIn } from '@carillon/testkit';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sms } from './sms.js';

let twilio: TwilioStandIn;
let undo: () => void;
beforeEach(async () => {
  twilio = await startTwilio();
  undo = redirectHosts(twilio.redirects);
});
afterEach(async () => {
  undo();
  await twilio.close();
});

const account = (): Options => ({ twilioAccountSid: twilio.accountSid, twilioAuthToken: twilio.authToken, twilioFrom: 'Clinic' });
const providersOf = (options: Options) => sms.providers?.(configFromOptions(options)) ?? [];
const message = messageTo({ kind: 'phone', value: '+15551234567' }, { id: 'n1', content: { text: 'Hello' } });

test('without settings there is no provider and nothing is read', () => {
  expect(providersOf({})).toEqual([]);
  expect(sms.receivers?.(configFromOptions({}))).toEqual({});
});

test.each(['twilioAccountSid', 'twilioAuthToken', 'twilioFrom'] as const)(
  'settings without %s are refused by name, and not repeated',
  (missing) => {
    const options = { ...account(), [missing]: undefined };
    const name = { twilioAccountSid: 'TWILIO_ACCOUNT_SID', twilioAuthToken: 'TWILIO_AUTH_TOKEN', twilioFrom: 'TWILIO_FROM' }[missing];
    expect(() => providersOf(options)).toThrow(
      expect.objectContaining({ code: 'CONFIGURATION_INVALID', message: expect.stringMatching(`^${name}: `) }),
    );
    expect(() => providersOf(options)).not.toThrow(twilio.authToken);
  },
);

test.each([
  [{}, undefined],
  [{ publicUrl: 'https://notify.test/' }, 'https://notify.test/v1/providers/twilio/events?ref=n1'],
])('with %j a report is asked for at %s, and what comes back is read', async (options, expected) => {
  const config = configFromOptions({ ...account(), ...options });
  const [provider] = sms.providers?.(config) ?? [];
  expect(await provider?.send([message], never)).toEqual([{ ok: true, providerMessageId: expect.any(String) }]);
  await provider?.close?.();
  const [taken] = twilio.accepted;
  expect(taken).toMatchObject({ from: 'Clinic', body: 'Hello' });
  expect(taken?.statusCallback).toBe(expected);
  if (taken === undefined || expected === undefined) return;

  const { headers, body } = twilio.report(taken, 'delivered');
  const receipts = sms.receivers?.(config).twilio?.read({ url: expected, headers, body: Buffer.from(body) });
  expect(receipts).toEqual([expect.objectContaining({ ref: message.ref, status: 'delivered', providerMessageId: taken.sid })]);
});

test('a report can come only where Twilio can reach us', () => {
  const echoes = (options: Options) => sms.echoes?.(configFromOptions({ ...account(), ...options }));
  expect(echoes({})).toBe(false);
  expect(echoes({ publicUrl: 'https://notify.test' })).toBe(true);
});

test('the rate is the one that is set', () => {
  expect(sms.rate?.(configFromOptions({ rateSms: '10/s' }))).toBe(0.01);
  expect(sms.rate?.(configFromOptions({}))).toBeUndefined();
});
