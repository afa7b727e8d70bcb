import { email } from '@carillon/email';
import type { Options } from '@carillon/service';
import { type SendGridStandIn, type SmtpStandIn, startRedis, startSendGrid, startSmtp, type TestRedis, waitFor } from '@carillon/testkit';
import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { deliveryOf, endings, newPrefix, openStores, runChannelHere, type Stores, settled } from './system.js';

const after = endings('all');
const later = endings();
let redis: TestRedis;
let sendgrid: SendGridStandIn;
let smtp: SmtpStandIn;
let stores: Stores;
let place: { redisUrl: string; prefix: string };

beforeAll(async () => {
  redis = await startRedis();
  after(() => redis.stop());
});
beforeEach(async () => {
  sendgrid = await startSendGrid();
  later(() => sendgrid.close());
  smtp = await startSmtp();
  later(() => smtp.close());
  place = { redisUrl: redis.url, prefix: newPrefix() };
  stores = await openStores(place);
  later(() => stores.close());
  await stores.templates.register({ id: 'm', title: 'A message', body: 'Number {{n}}.', channels: ['email'] });
});

/** The renderer and the mail worker with these providers, and the real SDKs in them. */
async function start(...providers: ('sendgrid' | 'smtp')[]) {
  const options: Options = {
    emailFromAddress: 'a@clinic.example',
    emailProviders: providers.join(),
    ...(providers.includes('sendgrid') && { sendgridApiKey: sendgrid.apiKey, sendgridBaseUrl: sendgrid.baseUrl }),
    ...(providers.includes('smtp') && { smtpUrl: smtp.url }),
  };
  later(await runChannelHere(place, email, options));
}
const queue = (n = 1) =>
  stores.producer.queueNotification({ userId: `user ${n}`, templateId: 'm', data: { n }, to: { email: `u${n}@example.com` } });

test('503, 503, 202: sent on the third try', async () => {
  sendgrid.script({ status: 503 }, { status: 503 });
  await start('sendgrid');
  const id = await queue();
  expect(await settled(stores, id, 'email', 'sent')).toMatchObject({ attempts: 3, provider: 'sendgrid', resent: false });
  expect(sendgrid.calls.map(({ status }) => status)).toEqual([503, 503, 202]);
});

test('429 with Retry-After: 2 is not called again earlier', async () => {
  sendgrid.script({ status: 429, headers: { 'retry-after': '2' } });
  await start('sendgrid');
  expect(await settled(stores, await queue(), 'email', 'sent')).toMatchObject({ attempts: 2 });
  const [first, second] = sendgrid.calls.map(({ at }) => at) as [number, number];
  expect(second - first).toBeGreaterThanOrEqual(2000);
});

test('400: one call, and a dead letter with its code', async () => {
  sendgrid.script({ status: 400 });
  await start('sendgrid', 'smtp');
  const id = await queue();
  expect(await settled(stores, id, 'email', 'failed')).toMatchObject({ attempts: 1, reason: 'PROVIDER_REFUSED' });
  await waitFor(async () => (await stores.views.failed({ limit: 10 })).data.length > 0, { what: 'the dead letter' });
  expect((await stores.views.failed({ limit: 10 })).data).toMatchObject([{ id, channel: 'email', code: 'PROVIDER_REFUSED', attempts: 1 }]);
  expect([sendgrid.calls.length, smtp.accepted.length]).toEqual([1, 0]);
  // Somebody mended what was wrong.
  expect(await stores.views.redrive({ ids: [id] })).toMatchObject({ retried: 1 });
  expect(await settled(stores, id, 'email', 'sent')).toMatchObject({ provider: 'sendgrid' });
});

test('SendGrid down: SMTP carries on; once it is back, it is used again', async () => {
  sendgrid.otherwise = { status: 503 };
  await start('sendgrid', 'smtp');
  const ids = await Promise.all(Array.from({ length: 50 }, (_, n) => queue(n)));
  for (const id of ids) expect(await settled(stores, id, 'email', 'sent')).toMatchObject({ provider: 'smtp', attempts: 1 });
  expect(smtp.accepted).toHaveLength(50);
  expect(sendgrid.accepted).toHaveLength(0);
  const callsWhenOpen = sendgrid.calls.length;
  expect(callsWhenOpen).toBeLessThanOrEqual(50);
  sendgrid.otherwise = 'accept';
  await waitFor(
    async () => {
      const id = await queue();
      return (await settled(stores, id, 'email', 'sent')).provider === 'sendgrid';
    },
    { timeout: 20_000, what: 'SendGrid to be used again' },
  );
});

test('a connection lost after the mail was handed over is never given to another provider', async () => {
  sendgrid.script('reset after accept');
  await start('sendgrid', 'smtp');
  const id = await queue();
  expect(await settled(stores, id, 'email', 'unknown')).toMatchObject({ attempts: 1 });
  await waitFor(async () => (await deliveryOf(stores, id, 'email'))?.reason === 'OUTCOME_UNKNOWN', { what: 'a person to be asked' });
  expect([sendgrid.accepted.length, smtp.accepted.length]).toEqual([1, 0]);
});

test('every provider down for a while: held at no cost, and all sent afterwards', async () => {
  sendgrid.otherwise = { status: 503 };
  await start('sendgrid', 'smtp');
  await smtp.close();
  const ids = await Promise.all(Array.from({ length: 80 }, (_, n) => queue(n)));
  const all = () => Promise.all(ids.map((id) => deliveryOf(stores, id, 'email')));
  await waitFor(async () => (await all()).every((delivery) => delivery?.status === 'held'), { timeout: 30_000, what: 'all to be held' });
  const held = await all();
  expect(held.every((delivery) => delivery?.reason === 'provider_down')).toBe(true);
  sendgrid.otherwise = 'accept';
  await waitFor(async () => (await all()).every((delivery) => delivery?.status === 'sent'), { timeout: 60_000, what: 'all to be sent' });
  expect(new Set(sendgrid.accepted.map(({ customArgs }) => Object.values(customArgs)[0])).size).toBe(80);
  expect(sendgrid.accepted).toHaveLength(80);
});
