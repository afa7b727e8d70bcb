import { startRedis, TestClient, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { apiKey, ask, end, endings, openStores, startStandalone } from './system.js';

const later = endings();

test('register, queue, receive, list, count, mark as read: the whole path of the founding document through main.js', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const { process, http, sockets } = await startStandalone({ redisUrl: redis.url });
  later(() => end(process));
  expect(process.output()).toContain(`API key:  ${apiKey}`);
  expect(process.output().trimEnd().split('\n').at(-1)).toMatch(/^ready/);
  expect(process.output()).toMatch(/^send one: curl /m);

  const template = {
    title: 'Upcoming Appointment',
    body: 'You have an appointment with {{therapistName}} on {{date}} at {{time}}',
    channels: ['in_app', 'email'],
    priority: 'normal',
  };
  const registered = await ask(`${http}/v1/templates/appointment-reminder`, 'PUT', template);
  expect(registered).toMatchObject({ status: 200, body: { id: 'appointment-reminder', changed: true } });
  const again = await ask(`${http}/v1/templates/appointment-reminder`, 'PUT', template);
  expect(again).toMatchObject({ status: 200, body: { version: registered.body.version, changed: false } });

  const issued = await ask(`${http}/v1/tokens`, 'POST', { userId: 'user-123' });
  expect(issued).toMatchObject({ status: 200, body: { url: sockets.replace('127.0.0.1', 'localhost') } });
  const client = await TestClient.connect(sockets);
  later(() => client.close());
  expect(await client.authenticate(issued.body.token)).toMatchObject({
    type: 'authenticated',
    data: { userId: 'user-123', unreadCount: 0, offset: 0, recovered: false },
  });
  expect(await client.next('unreadCount')).toMatchObject({ data: { unreadCount: 0 } });

  // The renderer is held back, so that the status before delivery can be seen.
  const stores = await openStores({ redisUrl: redis.url });
  later(() => stores.close());
  const renderQueue = stores.views.queues.find(({ name }) => name === 'render-0');
  await renderQueue?.pause();
  const data = { therapistName: 'Dr. Smith', date: '2025-03-15', time: '2:00 PM' };
  const queued = await ask(`${http}/v1/notifications`, 'POST', { userId: 'user-123', templateId: 'appointment-reminder', data });
  expect(queued.status).toBe(202);
  const { id } = queued.body as { id: string };
  const record = async () => (await ask(`${http}/v1/notifications/${id}`, 'GET')).body;
  expect(await record()).toMatchObject({
    id,
    userId: 'user-123',
    templateId: 'appointment-reminder',
    templateVersion: registered.body.version,
    status: 'pending',
    deliveries: [
      { channel: 'in_app', status: 'pending', attempts: 0 },
      { channel: 'email', status: 'pending', attempts: 0 },
    ],
  });
  expect((await ask(`${http}/v1/users/user-123/unread-count`, 'GET')).body).toEqual({ unreadCount: 0 });
  await renderQueue?.resume();

  const body = 'You have an appointment with Dr. Smith on 2025-03-15 at 2:00 PM';
  const notification = {
    id,
    userId: 'user-123',
    title: 'Upcoming Appointment',
    body,
    data,
    priority: 'normal',
    channels: ['in_app', 'email'],
  };
  expect(await client.next('notification')).toMatchObject({ event: 'new', data: notification, offset: 1, unreadCount: 1 });
  expect(await client.next('unreadCount')).toMatchObject({ data: { unreadCount: 1 }, offset: 1 });
  await waitFor(async () => (await record()).status === 'delivered', { what: 'the record to say delivered' });

  const list = await ask(`${http}/v1/users/user-123/notifications`, 'GET');
  expect(list.body).toMatchObject({ data: [{ ...notification, status: 'delivered', readAt: null }], nextCursor: null, unreadCount: 1 });
  expect((await ask(`${http}/v1/users/user-123/unread-count`, 'GET')).body).toEqual({ unreadCount: 1 });

  expect(await client.request({ type: 'markAsRead', notificationId: id })).toMatchObject({ type: 'ok' });
  expect(await client.next(({ event }) => event === 'read')).toMatchObject({ data: { id, status: 'read' }, offset: 2, unreadCount: 0 });
  expect(await client.next('unreadCount')).toMatchObject({ data: { unreadCount: 0 } });
  expect(await record()).toMatchObject({
    status: 'read',
    deliveries: [
      { channel: 'in_app', status: 'delivered', attempts: 1 },
      { channel: 'email', status: 'skipped', reason: 'no_email', attempts: 0 },
    ],
  });
  expect((await ask(`${http}/v1/users/user-123/unread-count`, 'GET')).body).toEqual({ unreadCount: 0 });
  const after = await ask(`${http}/v1/users/user-123/notifications`, 'GET');
  expect(after.body.data).toMatchObject([{ id, status: 'read', readAt: expect.any(Number) }]);
});
