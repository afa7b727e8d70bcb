import { startSendGrid, startSmtp } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { failure, message, send } from '../test/message.js';
import { mailOf } from './mail.js';
import { createSendGrid } from './sendgrid.js';
import { createSmtp } from './smtp.js';

let sendgrid: Awaited<ReturnType<typeof startSendGrid>>;
let smtp: Awaited<ReturnType<typeof startSmtp>>;
beforeAll(async () => {
  [sendgrid, smtp] = await Promise.all([startSendGrid(), startSmtp()]);
});
afterAll(async () => {
  await sendgrid.close();
  await smtp.close();
});

const providers = () => [
  createSendGrid({ apiKey: sendgrid.apiKey, baseUrl: sendgrid.baseUrl, from: 'us@clinic.example' }),
  createSmtp({ url: smtp.url, from: 'us@clinic.example' }),
];

const injections = ['\r\nBcc: eve@evil.example', '\nBcc: eve@evil.example', '\rBcc: eve@evil.example', '\u0000', '\u0085x', '\u2028x'];
const fields = ['subject', 'from', 'replyTo', 'to', 'unsubscribeUrl'] as const;
const withInjection = (field: (typeof fields)[number], text: string) => {
  const address = `ada@home.example${text}`;
  if (field === 'subject') return message({ content: { subject: `Hello${text}`, text: 'text' } });
  if (field === 'to') return message({ to: { kind: 'email', value: address } });
  if (field === 'unsubscribeUrl') return message({ unsubscribeUrl: `https://clinic.example/u${text}` });
  return message({ options: { [field]: address } });
};

test.each(fields.flatMap((field) => injections.map((text) => [field, JSON.stringify(text), text] as const)))(
  'by no provider does %s take %s into a header',
  async (field, _shown, text) => {
    for (const provider of providers()) {
      expect(failure(await send(provider, withInjection(field, text))).code).toBe('PROVIDER_REFUSED');
      await provider.close?.();
    }
    expect([...sendgrid.accepted, ...smtp.accepted]).toEqual([]);
    expect(sendgrid.calls).toEqual([]);
  },
);

test.each([
  'a@b.example, eve@evil.example',
  'a@b.example; eve@evil.example',
  'Ada <a@b.example>',
  'a@b.example>',
  '"a b"@c.example',
  'a',
  'a@',
  '',
])('%j is not one address and nothing around it', (value) => {
  expect(() => mailOf(message({ to: { kind: 'email', value } }), 'us@clinic.example')).toThrow(
    expect.objectContaining({ code: 'PROVIDER_REFUSED', field: 'to' }),
  );
});

test('empty HTML is no HTML', () => {
  expect(mailOf(message({ content: { subject: 'Hello', text: 'text', html: '' } }), 'us@clinic.example')).not.toHaveProperty('html');
});
