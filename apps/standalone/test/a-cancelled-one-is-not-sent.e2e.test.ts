import { type SendGridStandIn, startRedis, startSendGrid, type TestRedis, waitFor } from '@carillon/testkit';
import { beforeAll, expect, test } from '@jest/globals';
import { count } from './counts.js';
import { ask, createService, deliveryOf, end, endings, openStores, type Stores, settled, startStandalone } from './system.js';

const later = endings('all');
let redis: TestRedis;
let sendgrid: SendGridStandIn;
let stores: Stores;
let http: string;

beforeAll(async () => {
  redis = await startRedis();
  later(() => redis.stop());
  sendgrid = await startSendGrid();
  later(() => sendgrid.close());
  const place = { redisUrl: redis.url };
  const settings = { SENDGRID_API_KEY: sendgrid.apiKey, SENDGRID_BASE_URL: sendgrid.baseUrl, EMAIL_FROM_ADDRESS: 'a@clinic.example' };
  const system = await startStandalone(place, settings);
  later(() => end(system.process));
  http = system.http;
  stores = await openStores(place);
  later(() => stores.close());
  await stores.templates.register({ id: 'm', title: 'A message', body: 'Number {{n}}.', channels: ['email'] });
});

const requestOf = (userId: string, more: object = {}) => ({
  userId,
  templateId: 'm',
  data: { n: 1 },
  to: { email: `${encodeURIComponent(userId)}@example.com` },
  ...more,
});
const queue = async (userId: string, more: object = {}) => {
  const { body, status } = await ask(`${http}/v1/notifications`, 'POST', requestOf(userId, more));
  expect(status).toBe(202);
  return body.id as string;
};
const wasSent = (id: string) => sendgrid.accepted.some(({ customArgs }) => Object.values(customArgs).includes(id));
const mails = () => stores.views.queues.find(({ name }) => name === 'email-0');

test('before: it is never sent, and the answer stays the same', async () => {
  await mails()?.pause();
  const id = await queue('ann');
  const answer = { status: 200, body: { canceled: [id], alreadySent: [] } };
  expect(await ask(`${http}/v1/notifications/${id}`, 'DELETE')).toMatchObject(answer);
  await mails()?.resume();
  const witness = await queue('ann');
  await settled(stores, witness, 'email', 'sent');
  await waitFor(() => stores.views.idle(['email']), { what: 'the queue to be worked off' });
  expect(wasSent(id)).toBe(false);
  expect(await ask(`${http}/v1/notifications/${id}`, 'DELETE')).toMatchObject(answer);
  expect((await ask(`${http}/v1/notifications/${id}`, 'GET')).body).toMatchObject({
    status: 'canceled',
    deliveries: [{ status: 'canceled' }],
  });
});

test('before it is rendered: it never gets into the inbox either; of what is in it, it says so', async () => {
  await stores.templates.register({ id: 'i', title: 'A message', body: 'Number {{n}}.', channels: ['in_app'] });
  const renders = stores.views.queues.find(({ name }) => name === 'render-0');
  await renders?.pause();
  const id = await queue('ida', { templateId: 'i' });
  expect((await ask(`${http}/v1/notifications/${id}`, 'DELETE')).body).toEqual({ canceled: [id], alreadySent: [] });
  await renders?.resume();
  const shown = await queue('ida', { templateId: 'i' });
  await settled(stores, shown, 'in_app', 'delivered');
  expect((await ask(`${http}/v1/users/ida/notifications`, 'GET')).body.data.map((one: { id: string }) => one.id)).toEqual([shown]);
  expect((await ask(`${http}/v1/notifications/${shown}`, 'DELETE')).body).toEqual({ canceled: [], alreadySent: [shown] });
});

test('while it is going out, and after: already sent', async () => {
  sendgrid.latency = 500;
  const id = await queue('bob');
  await settled(stores, id, 'email', 'sending');
  const answer = { status: 200, body: { canceled: [], alreadySent: [id] } };
  expect(await ask(`${http}/v1/notifications/${id}`, 'DELETE')).toMatchObject(answer);
  sendgrid.latency = 0;
  await settled(stores, id, 'email', 'sent');
  expect(await ask(`${http}/v1/notifications/${id}`, 'DELETE')).toMatchObject(answer);
});

test('at any moment: what is said to be canceled never arrives, what is said to be sent does', async () => {
  const said = new Map<string, boolean>();
  await Promise.all(
    Array.from({ length: count(60, 1000) }, async (_, n) => {
      const id = await queue(`racer ${n}`);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
      const { body } = await ask(`${http}/v1/notifications/${id}`, 'DELETE');
      expect(body.canceled.length + body.alreadySent.length).toBe(1);
      said.set(id, body.canceled.length === 1);
    }),
  );
  await waitFor(
    async () =>
      (await Promise.all([...said.keys()].map(async (id) => (await deliveryOf(stores, id, 'email'))?.status))).every(
        (status) => status === 'sent' || status === 'canceled',
      ),
    {
      timeout: 30_000,
      what: 'all to be settled',
    },
  );
  await waitFor(() => stores.views.idle(['email']), { what: 'the queue to be worked off' });
  for (const [id, canceled] of said) expect([id, wasSent(id)]).toEqual([id, !canceled]);
});

test('all with one cancellation key, or those of one user; the key is not readable in Redis', async () => {
  await mails()?.pause();
  const key = { cancellationKey: 'canary-appointment-77' };
  const [one, two, other] = [await queue('cleo', key), await queue('dora', key), await queue('cleo')];
  const cancel = (body: object) => ask(`${http}/v1/notifications/cancel`, 'POST', body);
  expect(await cancel({ ...key, userId: 'dora' })).toMatchObject({ status: 200, body: { canceled: [two], alreadySent: [] } });
  expect(await cancel(key)).toMatchObject({ status: 200, body: { canceled: [one, two].sort(), alreadySent: [] } });
  expect(await cancel({ cancellationKey: 'unheard of' })).toMatchObject({ status: 200, body: { canceled: [], alreadySent: [] } });
  expect(await cancel({})).toMatchObject({ status: 400, body: { code: 'FIELD_INVALID', field: 'cancellationKey' } });
  await mails()?.resume();
  await settled(stores, other, 'email', 'sent');
  expect([wasSent(one), wasSent(two)]).toEqual([false, false]);
  const names = await stores.redis.command<string[]>('KEYS', '*');
  expect(names.filter((name) => name.includes('canary'))).toEqual([]);
});

test('an unknown id is told; the library answers the same', async () => {
  expect(await ask(`${http}/v1/notifications/01890000-0000-7000-8000-000000000000`, 'DELETE')).toMatchObject({
    status: 404,
    body: { code: 'NOTIFICATION_NOT_FOUND' },
  });
  await mails()?.pause();
  const service = createService({ redisUrl: redis.url });
  const id = await service.queueNotification({ ...requestOf('eve'), cancellationKey: 'k' });
  expect(await service.cancel({ cancellationKey: 'k' })).toEqual({ canceled: [id], alreadySent: [] });
  expect(await service.cancel(id)).toEqual({ canceled: [id], alreadySent: [] });
  await service.close();
  await mails()?.resume();
});
