import { startRedis } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { ask, end, endings, openStores, settled, startStandalone } from './system.js';

const later = endings();

test('without a single key: in-app delivered, mail kept for preview, push skipped for want of a device', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const place = { redisUrl: redis.url };
  const { process, http } = await startStandalone(place);
  later(() => end(process));
  const stores = await openStores(place);
  later(() => stores.close());

  const template = {
    title: 'Your appointment',
    body: 'With {{therapist}}.',
    channels: ['in_app', 'email', 'push', 'sms'],
    email: { subject: 'A message for you', html: '<p>Hello, {{therapist}} has <b>news</b>.</p>' },
  };
  expect((await ask(`${http}/v1/templates/visit`, 'PUT', template)).status).toBe(200);
  expect((await ask(`${http}/v1/users/ann`, 'PUT', { email: 'ann@example.com', locale: 'de-AT' })).status).toBe(200);
  const queued = await ask(`${http}/v1/notifications`, 'POST', { userId: 'ann', templateId: 'visit', data: { therapist: 'Dr. <Smith>' } });
  expect(queued.status).toBe(202);
  const { id } = queued.body as { id: string };
  await settled(stores, id, 'in_app', 'delivered');
  await settled(stores, id, 'email', 'sent');
  expect((await ask(`${http}/v1/notifications/${id}`, 'GET')).body).toMatchObject({
    status: 'delivered',
    deliveries: [
      { channel: 'in_app', status: 'delivered', provider: null },
      { channel: 'email', status: 'sent', provider: 'preview', attempts: 1 },
      { channel: 'push', status: 'skipped', reason: 'no_device' },
      { channel: 'sms', status: 'skipped', reason: 'no_phone' },
    ],
  });

  const { body } = await ask(`${http}/preview/mail`, 'GET', undefined, { accept: 'application/json' });
  expect(body.data).toMatchObject([
    {
      channel: 'email',
      to: 'ann@example.com',
      content: { subject: 'A message for you', text: 'With Dr. <Smith>.', html: '<p>Hello, Dr. &lt;Smith&gt; has <b>news</b>.</p>' },
    },
  ]);
});
