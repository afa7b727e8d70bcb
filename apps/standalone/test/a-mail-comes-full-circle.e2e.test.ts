import { generateKeyPairSync } from 'node:crypto';
import { type SendGridMail, type SendGridStandIn, startRedis, startSendGrid, type TestRedis, waitFor } from '@carillon/testkit';
import { beforeAll, expect, test } from '@jest/globals';
import { ask, deliveryOf, end, endings, openStores, type Stores, settled, startStandalone } from './system.js';

const later = endings('all');
let redis: TestRedis;
let sendgrid: SendGridStandIn;
let stores: Stores;
let http: string;
const events = () => `${http}/v1/providers/sendgrid/events`;

beforeAll(async () => {
  redis = await startRedis();
  later(() => redis.stop());
  sendgrid = await startSendGrid();
  later(() => sendgrid.close());
  const place = { redisUrl: redis.url };
  const system = await startStandalone(place, {
    SENDGRID_API_KEY: sendgrid.apiKey,
    SENDGRID_BASE_URL: sendgrid.baseUrl,
    SENDGRID_WEBHOOK_PUBLIC_KEY: sendgrid.events.publicKey,
    EMAIL_FROM_ADDRESS: 'clinic@clinic.example',
    NOTIFICATION_PUBLIC_URL: 'https://notify.clinic.example',
  });
  later(() => end(system.process));
  http = system.http;
  stores = await openStores(place);
  later(() => stores.close());
  for (const [id, more] of Object.entries({ news: {}, alarm: { required: true } })) {
    const body = { title: 'A message', body: 'Number {{n}}.', channels: ['email'], category: 'newsletter', ...more };
    expect((await ask(`${http}/v1/templates/${id}`, 'PUT', body)).status).toBe(200);
  }
});

/** Queues a mail and waits until SendGrid has it. */
async function mail(userId: string, templateId = 'news'): Promise<{ id: string; mail: SendGridMail }> {
  expect((await ask(`${http}/v1/users/${userId}`, 'PATCH', { email: `${userId}@example.com` })).status).toBe(200);
  const { body } = await ask(`${http}/v1/notifications`, 'POST', { userId, templateId, data: { n: 1 } });
  await settled(stores, body.id, 'email', 'sent');
  return { id: body.id, mail: sendgrid.accepted.find(({ customArgs }) => Object.values(customArgs).includes(body.id)) as SendGridMail };
}
const statusOf = async (id: string) => (await deliveryOf(stores, id, 'email'))?.status;
const { of, deliver } = {
  of: (...args: Parameters<SendGridStandIn['events']['of']>) => sendgrid.events.of(...args),
  deliver: (...args: Parameters<SendGridStandIn['events']['deliver']>) => sendgrid.events.deliver(...args),
};

test('what is sent tells the provider nothing but an opaque id, and the provider’s word moves the status on', async () => {
  const { id, mail: sent } = await mail('ann');
  expect(sent).toMatchObject({ to: 'ann@example.com', from: 'clinic@clinic.example', subject: 'A message', text: 'Number 1.' });
  expect(Object.values(sent.customArgs)).toEqual([id]);
  expect(JSON.stringify(sent.raw)).not.toMatch(/newsletter|"ann"|categories/);
  expect(await deliver(events(), [of(sent, 'processed'), of(sent, 'delivered'), of(sent, 'open'), of(sent, 'click')])).toMatchObject({
    status: 204,
  });
  expect(await deliveryOf(stores, id, 'email')).toMatchObject({
    status: 'delivered',
    provider: 'sendgrid',
    providerMessageId: sent.id,
    attempts: 1,
    engagement: { opened: expect.any(Number), clicked: expect.any(Number) },
  });
});

test('forged, altered, late and unsigned events change nothing', async () => {
  const { id, mail: sent } = await mail('bob');
  const bounce = [of(sent, 'bounce')];
  const forger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const now = Math.floor(Date.now() / 1000);
  for (const options of [
    { key: forger },
    { tamper: (body: Buffer) => Buffer.from(body.toString().replace('bounce', 'bounce ')) },
    { timestamp: now - 301 },
    { timestamp: now + 301 },
    { timestamp: 'soon' },
  ]) {
    expect((await deliver(events(), bounce, options)).status).toBe(401);
  }
  const unsigned = await fetch(events(), { method: 'POST', body: JSON.stringify(bounce), headers: { 'content-type': 'application/json' } });
  expect(unsigned.status).toBe(401);
  expect(await statusOf(id)).toBe('sent');
  expect((await ask(`${http}/v1/users/bob/suppressions/email`, 'GET')).status).toBe(404);
});

test('repeated and reordered events end where one of each in order would', async () => {
  const { id, mail: sent } = await mail('cleo');
  const [processed, delivered, open] = [of(sent, 'processed'), of(sent, 'delivered'), of(sent, 'open')];
  for (const batch of [
    [open, delivered],
    [processed],
    [delivered, delivered, processed],
    [open],
    [{ ...processed, sg_event_id: 'later' }],
  ]) {
    expect((await deliver(events(), batch)).status).toBe(204);
  }
  const delivery = await deliveryOf(stores, id, 'email');
  expect(delivery).toMatchObject({ status: 'delivered', attempts: 1 });
  const record = await stores.redis.command<string>('GET', stores.redis.keys.delivery(id));
  expect(record.match(/email:delivered/g)).toHaveLength(1);
  expect(record.match(/email:opened/g)).toHaveLength(1);
});

test('an event of nothing we know is taken and changes nothing', async () => {
  const { mail: sent } = await mail('dora');
  const before = await stores.redis.command<number>('DBSIZE');
  const strange = [
    of(sent, 'bounce', { carillon: '01890000-0000-7000-8000-000000000000', email: 'nobody@example.com', sg_event_id: 'a' }),
    of(sent, 'delivered', { carillon: '../../x', sg_event_id: 'b' }),
    of(sent, 'delivered', { event: 'moon', sg_event_id: 'c' }),
  ];
  expect((await deliver(events(), strange)).status).toBe(204);
  expect((await stores.redis.command<number>('DBSIZE')) - before).toBeLessThanOrEqual(3);
});

test('after a hard bounce nothing is sent to the address until it is lifted', async () => {
  const { mail: sent } = await mail('eve');
  expect((await deliver(events(), [of(sent, 'bounce')])).status).toBe(204);
  expect((await ask(`${http}/v1/users/eve/suppressions/email`, 'GET')).body).toMatchObject({ reason: 'bounced', provider: 'sendgrid' });
  const next = (await ask(`${http}/v1/notifications`, 'POST', { userId: 'eve', templateId: 'alarm', data: { n: 2 } })).body.id;
  expect(await settled(stores, next, 'email', 'skipped')).toMatchObject({ reason: 'suppressed' });
  expect((await ask(`${http}/v1/users/eve/suppressions/email`, 'DELETE')).status).toBe(204);
  await mail('eve');
});

test('one click unsubscribes from the category; looking does not, and what is required still comes', async () => {
  const { mail: sent } = await mail('fay');
  expect(sent.headers['List-Unsubscribe-Post']).toBe('List-Unsubscribe=One-Click');
  const [, link] = /^<(https:\/\/notify\.clinic\.example\/unsubscribe\/[^>]+)>$/.exec(sent.headers['List-Unsubscribe'] ?? '') ?? [];
  expect(link).not.toMatch(/fay|newsletter/);
  const url = (link as string).replace('https://notify.clinic.example', http);
  expect((await fetch(url)).status).toBe(200);
  expect((await ask(`${http}/v1/users/fay/preferences`, 'GET')).body).toEqual({});
  for (let i = 0; i < 2; i++) {
    const clicked = await fetch(url, {
      method: 'POST',
      body: 'List-Unsubscribe=One-Click',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(clicked.status).toBe(200);
  }
  expect((await ask(`${http}/v1/users/fay/preferences`, 'GET')).body).toEqual({ categories: { newsletter: { email: false } } });
  const next = (await ask(`${http}/v1/notifications`, 'POST', { userId: 'fay', templateId: 'news', data: { n: 2 } })).body.id;
  expect(await settled(stores, next, 'email', 'skipped')).toMatchObject({ reason: 'preference' });
  const { mail: alarm } = await mail('fay', 'alarm');
  expect(alarm.headers['List-Unsubscribe']).toBeUndefined();
});

test('a report of spam stops the address', async () => {
  const { mail: sent } = await mail('gus');
  await deliver(events(), [of(sent, 'spamreport')]);
  expect((await ask(`${http}/v1/users/gus/suppressions/email`, 'GET')).body).toMatchObject({ reason: 'complaint' });
});

test('SendGrid’s own unsubscribe link turns the category off', async () => {
  const { mail: sent } = await mail('hal');
  await deliver(events(), [of(sent, 'unsubscribe')]);
  await waitFor(async () => (await ask(`${http}/v1/users/hal/preferences`, 'GET')).body.categories?.newsletter?.email === false, {
    what: 'the wish to be noted',
  });
});
