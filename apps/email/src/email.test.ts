import { configFromOptions, type Options } from '@carillon/service';
import { startSendGrid, startSmtp } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { message, send } from '../test/message.js';
import { email } from './email.js';

const both: Options = { emailFromAddress: 'us@clinic.example', sendgridApiKey: 'SG.secret', smtpUrl: 'smtp://user:secret@127.0.0.1' };
const names = (options: Options) => email.providers?.(configFromOptions(options)).map(({ name }) => name);

test('providers come in the order that is set, else SendGrid first, and only those that are configured', () => {
  expect(names({})).toEqual([]);
  expect(names({ emailFromAddress: 'us@clinic.example' })).toEqual([]);
  expect(names(both)).toEqual(['sendgrid', 'smtp']);
  expect(names({ ...both, emailProviders: 'smtp, sendgrid' })).toEqual(['smtp', 'sendgrid']);
  expect(names({ ...both, emailProviders: 'smtp' })).toEqual(['smtp']);
  expect(names({ ...both, emailProviders: 'smtp,smtp' })).toEqual(['smtp']);
  expect(names({ ...both, sendgridApiKey: undefined })).toEqual(['smtp']);
});

test.each<[string, Options, string]>([
  ['a provider without a sender', { ...both, emailFromAddress: undefined }, 'EMAIL_FROM_ADDRESS'],
  ['SendGrid named without a key', { ...both, sendgridApiKey: undefined, emailProviders: 'smtp,sendgrid' }, 'SENDGRID_API_KEY'],
  ['SMTP named without an address', { ...both, smtpUrl: undefined, emailProviders: 'sendgrid,smtp' }, 'SMTP_URL'],
  ['an address that is none', { ...both, smtpUrl: 'smtp://user:secret@' }, 'SMTP_URL'],
])('%s is CONFIGURATION_INVALID, and says what to set without its value', (_what, options, name) => {
  const refused = expect.objectContaining({
    code: 'CONFIGURATION_INVALID',
    message: expect.stringMatching(new RegExp(`^(?!.*secret).*${name}`)),
  });
  expect(() => names(options)).toThrow(refused);
});

test('events are taken once the verification key is set', async () => {
  const sendgrid = await startSendGrid();
  const receivers = (options: Options) => Object.keys(email.receivers?.(configFromOptions(options)) ?? {});
  expect(receivers(both)).toEqual([]);
  expect(receivers({ ...both, sendgridWebhookPublicKey: sendgrid.events.publicKey })).toEqual(['sendgrid']);
  expect(() => receivers({ ...both, sendgridWebhookPublicKey: 'AAAA' })).toThrow(
    expect.objectContaining({ code: 'CONFIGURATION_INVALID' }),
  );
  await sendgrid.close();
});

test('word of a mail can come only where SendGrid may send it and reports to us', () => {
  const echoes = (options: Options) => email.echoes?.(configFromOptions({ ...both, sendgridWebhookPublicKey: 'AAAA', ...options }));
  expect(echoes({})).toBe(true);
  expect(echoes({ emailProviders: 'smtp, sendgrid' })).toBe(true);
  expect(echoes({ emailProviders: 'smtp' })).toBe(false);
  expect(echoes({ sendgridApiKey: undefined })).toBe(false);
  expect(echoes({ sendgridWebhookPublicKey: undefined })).toBe(false);
});

test('the rate is the one that is set', () => {
  expect(email.rate?.(configFromOptions({}))).toBeUndefined();
  expect(email.rate?.(configFromOptions({ rateEmail: '100/s' }))).toBe(0.1);
});

test('both providers, made from settings, send the same mail', async () => {
  const [sendgrid, smtp] = await Promise.all([startSendGrid(), startSmtp()]);
  const settings = { ...both, sendgridApiKey: sendgrid.apiKey, sendgridBaseUrl: `${sendgrid.baseUrl}/`, smtpUrl: smtp.url };
  const content = { subject: 'Hello', text: 'text', html: '<p>html</p>' };
  const options = { replyTo: 'desk@clinic.example' };
  const what = message({ content, options, unsubscribeUrl: 'https://clinic.example/unsubscribe/token' });
  for (const provider of email.providers?.(configFromOptions(settings)) ?? []) {
    expect((await send(provider, what)).ok).toBe(true);
    await provider.close?.();
  }
  const seen = [sendgrid.accepted[0], smtp.accepted[0]].map((mail) => ({
    from: mail?.from,
    to: mail?.to,
    replyTo: mail?.replyTo,
    subject: mail?.subject,
    text: mail?.text?.trim(),
    html: mail?.html?.trim(),
    unsubscribe: Object.entries(mail?.headers ?? {})
      .filter(([name]) => /^list-/i.test(name))
      .map(([name, value]) => `${name.toLowerCase()}: ${value}`),
  }));
  expect(seen[0]).toEqual(seen[1]);
  expect(seen[0]).toMatchObject({ ...content, ...options, from: 'us@clinic.example' });
  expect(seen[0]?.unsubscribe).toHaveLength(2);
  await Promise.all([sendgrid.close(), smtp.close()]);
});
