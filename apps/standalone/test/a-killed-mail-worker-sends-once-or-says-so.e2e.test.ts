import { setTimeout as sleep } from 'node:timers/promises';
import { type SendGridStandIn, type SpawnedProcess, startRedis, startSendGrid, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { count } from './counts.js';
import { deliveryOf, end, endings, openStores, type Stores, startRole } from './system.js';

const later = endings();
const MAILS = count(400, 5000);
const KILLS = count(4, 20);
/** Jobs a mail worker has under way at most. */
const CONCURRENCY = 50;

/** Queues mails, kills the worker again and again while it sends them, and waits until each is sent or known to be unknown. */
async function sendUnderKills(onUnknown: 'hold' | 'resend') {
  const redis = await startRedis();
  later(() => redis.stop());
  const sendgrid = await startSendGrid({ latency: 60 });
  later(() => sendgrid.close());
  const place = { redisUrl: redis.url };
  const stores = await openStores(place);
  later(() => stores.close());
  await stores.templates.register({ id: 'm', title: 'A message', body: 'Number {{n}}.', channels: ['email'], email: { onUnknown } });
  const renderer = startRole('renderer', place);
  later(() => end(renderer));
  const results = await stores.producer.queueNotifications(
    Array.from({ length: MAILS }, (_, n) => ({ userId: `user ${n}`, templateId: 'm', data: { n }, to: { email: `u${n}@example.com` } })),
  );
  const ids = results.map((result) => {
    if (!result.ok) throw result.error;
    return result.id;
  });

  const settings = { SENDGRID_API_KEY: sendgrid.apiKey, SENDGRID_BASE_URL: sendgrid.baseUrl, EMAIL_FROM_ADDRESS: 'a@clinic.example' };
  const start = () => startRole('email', place, settings);
  let worker: SpawnedProcess = start();
  later(() => end(worker));
  for (let kill = 1; kill <= KILLS; kill++) {
    const before = sendgrid.calls.length;
    // In the middle of it: some calls are answered, some under way.
    await waitFor(() => sendgrid.calls.length >= before + 30 || sendgrid.accepted.length >= MAILS - 10, {
      timeout: 60_000,
      what: 'mails to go out',
    });
    await sleep(Math.random() * 60);
    await end(worker);
    worker = start();
  }
  const decided = async (id: string) => {
    const delivery = await deliveryOf(stores, id, 'email');
    return delivery?.status === 'sent' || delivery?.reason === 'OUTCOME_UNKNOWN';
  };
  let open = ids;
  await waitFor(
    async () => {
      const still = await Promise.all(open.map(async (id) => !(await decided(id))));
      open = open.filter((_, i) => still[i]);
      return open.length === 0;
    },
    { timeout: count(100_000, 600_000), what: 'every mail to be sent or known as unknown' },
  );
  return { ids, sendgrid, stores };
}

/** How often each mail arrived. */
function arrivals(sendgrid: SendGridStandIn): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { customArgs } of sendgrid.accepted) {
    const [id] = Object.values(customArgs) as [string];
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}
const deliveries = (stores: Stores, ids: string[]) =>
  Promise.all(ids.map(async (id) => ({ id, ...(await deliveryOf(stores, id, 'email')) })));

test('with `hold`: every mail is sent or listed as unknown, and none arrives twice', async () => {
  const { ids, sendgrid, stores } = await sendUnderKills('hold');
  const arrived = arrivals(sendgrid);
  const all = await deliveries(stores, ids);
  for (const { id, status, resent } of all) {
    expect(arrived.get(id) ?? 0).toBeLessThanOrEqual(1);
    expect(resent).toBe(false);
    if (status === 'sent') expect(arrived.get(id)).toBe(1);
  }
  const unknown = all.filter(({ status }) => status === 'unknown');
  expect(unknown.length).toBeGreaterThan(0);
  expect(unknown.length).toBeLessThanOrEqual(KILLS * CONCURRENCY);
  // Each is listed for a person to decide.
  await waitFor(
    async () =>
      (await stores.views.counts()).some(({ queue, state, length }) => queue.startsWith('email') && state === 'failed' && length > 0),
    {
      what: 'the dead letters',
    },
  );
});

test('with `resend`: every mail is sent, and one that arrived twice says that it was sent again', async () => {
  const { ids, sendgrid, stores } = await sendUnderKills('resend');
  const arrived = arrivals(sendgrid);
  const all = await deliveries(stores, ids);
  expect(all.every(({ status }) => status === 'sent')).toBe(true);
  const twice = all.filter(({ id }) => (arrived.get(id) ?? 0) > 1);
  for (const delivery of twice) expect(delivery).toMatchObject({ resent: true });
  expect(twice.length).toBeLessThanOrEqual(KILLS * CONCURRENCY);
  for (const { id } of all) expect(arrived.get(id) ?? 0).toBeGreaterThanOrEqual(1);
});
