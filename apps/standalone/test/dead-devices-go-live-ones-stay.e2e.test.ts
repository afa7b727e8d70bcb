import { push } from '@carillon/push';
import { redirectHosts, startFcm, startRedis, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { count } from './counts.js';
import { endings, openStores, runChannelHere } from './system.js';

const later = endings();
const DEVICES = count(2000, 10_000);
const DEAD = DEVICES / 10;

test('after one send the devices that are gone are removed, and no other', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const fcm = await startFcm();
  later(() => fcm.close());
  later(redirectHosts(fcm.redirects));
  const place = { redisUrl: redis.url };
  const stores = await openStores(place);
  later(() => stores.close());
  const { directory, deliveries } = stores;

  // Two devices each; of every fifth person the first is dead.
  const users = Array.from({ length: DEVICES / 2 }, (_, n) => `user ${n}`);
  const token = (n: number, which: number) => `token-${n}-${which}`;
  for (let from = 0; from < users.length; from += 100) {
    await Promise.all(
      users
        .slice(from, from + 100)
        .flatMap((userId, k) => [0, 1].map((which) => directory.addDevice(userId, { fcm: { token: token(from + k, which) } }))),
    );
  }
  fcm.unregister(users.flatMap((_, n) => (n % 5 === 0 ? [token(n, 0)] : [])));

  await stores.templates.register({ id: 'p', title: 'A message', body: 'Number {{n}}.', channels: ['push'] });
  later(await runChannelHere(place, push, { firebaseServiceAccount: fcm.serviceAccount }));

  const results = await stores.producer.queueNotifications(users.map((userId, n) => ({ userId, templateId: 'p', data: { n } })));
  const ids = results.map((result) => {
    if (!result.ok) throw result.error;
    return result.id;
  });
  await waitFor(
    async () => {
      const records = await Promise.all(ids.map((id) => deliveries.get(id)));
      return records.every(
        (record) => record.deliveries.length === 2 && record.deliveries.every(({ status }) => status === 'sent' || status === 'failed'),
      );
    },
    { timeout: count(60_000, 300_000), what: 'all to be settled' },
  );

  const records = (await Promise.all(ids.map((id) => deliveries.get(id)))).flatMap((record) => record.deliveries);
  const failed = records.filter(({ status }) => status === 'failed');
  expect(failed).toHaveLength(DEAD);
  expect(failed.every(({ reason, attempts }) => reason === 'ADDRESS_UNREACHABLE' && attempts === 1)).toBe(true);
  expect(fcm.sent).toHaveLength(DEVICES - DEAD);
  expect(fcm.calls()).toBe(DEVICES);
  const left = await Promise.all(users.map(async (userId) => (await directory.devices(userId)).length));
  expect(left.map((devices, n) => [n, devices])).toEqual(users.map((_, n) => [n, n % 5 === 0 ? 1 : 2]));
  // No dead letters: there is nothing to try again.
  expect(
    (await stores.views.counts()).filter(({ queue, state, length }) => queue.startsWith('push') && state === 'failed' && length > 0),
  ).toEqual([]);
  expect((await stores.redis.command<string>('GET', stores.redis.keys.delivery(ids[0] as string))).includes('token-')).toBe(false);
});
