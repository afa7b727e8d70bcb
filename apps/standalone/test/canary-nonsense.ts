import { type TestClient, waitFor } from '@carillon/testkit';
import { expect } from '@jest/globals';
import { request, type World } from './canary-world.js';

/** Requests and frames that are refused, with somebody's data in them. One fault each: the first is the one that is told. */
export async function sendNonsense(world: World, client: TestClient) {
  const { canaries, evidence } = world;
  const text = (name: string) => canaries.text(`${name} of a refused request`, 'request');
  /** A name of the sender's own making: whoever sends one that is not allowed is told which. */
  const name = (what: string) => canaries.text(`${what} of a refused request`, 'unknown name');
  const unknown = (where: string) => ({
    [canaries.text(`unknown name in ${where}`, 'unknown name')]: text(`value of an unknown name in ${where}`),
  });
  const good = request(world, 'eve');
  const refused = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
    const { status } = await world.ask('problems', method, path, body, headers);
    expect({ method, path, body, isRefused: status >= 400 && status < 500 }).toEqual({ method, path, body, isRefused: true });
  };
  const requests = [
    `{"userId": ${text('broken JSON')}`,
    `{} ${text('text after JSON')}`,
    [text('a list')],
    { ...good, ...unknown('a request') },
    { ...good, to: unknown('to') },
    { ...good, data: text('data that is text') },
    { ...good, data: { ...good.data, dose: text('text for a number') } },
    { ...good, data: { [text('a name that is not asked for')]: 1 } },
    { ...good, data: nested(11, () => name('a name too deep in data')) },
    { ...good, data: { ...good.data, much: text('much text').repeat(5000) } },
    { ...good, channels: [text('a channel')] },
    { ...good, priority: text('a priority') },
    { ...good, category: text('a long category').repeat(10) },
    { ...good, threadId: `${text('a thread')}\u0000` },
    { ...good, tags: [{ [text('a name in a tag')]: 1 }] },
    { ...good, to: { email: text('a bad address') } },
    { ...good, to: { phone: text('a bad number') } },
    { ...good, url: `javascript:${text('a bad link')}` },
    { ...good, idempotencyKey: text('a long idempotencyKey').repeat(20) },
    { ...good, cancellationKey: text('a long cancellationKey').repeat(20) },
    { ...good, templateId: `${text('a template')}/` },
  ];
  for (const body of requests) {
    await refused('POST', '/v1/notifications', body);
    await world.ask('problems', 'POST', '/v1/notifications/bulk', { notifications: [body] });
  }
  world.controls.push([/^problems$/, 'FIELD_INVALID'], [/^problems$/, 'TEMPLATE_DATA_INVALID'], [/^problems$/, 'PAYLOAD_TOO_LARGE']);
  await refused('POST', '/v1/notifications/bulk', { notifications: [good], ...unknown('a list of requests') });
  for (const profile of [
    { email: text('email') },
    { phone: text('phone') },
    { locale: text('locale') },
    { timeZone: text('timeZone') },
    unknown('a profile'),
  ]) {
    for (const method of ['PUT', 'PATCH']) await refused(method, '/v1/users/eve', profile);
  }
  const wishes = [
    { channels: { [name('a channel of preferences')]: true } },
    { categories: { [name('a category with a bad wish')]: text('a wish') } },
    { categories: { [name('a category with a bad channel')]: { [name('a channel of a category')]: true } } },
    { categories: { [name('a long category of preferences').repeat(10)]: true } },
    unknown('preferences'),
  ];
  for (const preferences of wishes) await refused('PUT', '/v1/users/eve/preferences', preferences);
  const web = { endpoint: 'https://push.example.net/x', keys: { p256dh: 'x', auth: 'x' } };
  const devices = [
    { fcm: { token: `${text('token')} with spaces` } },
    { fcm: { token: 'x', ...unknown('fcm') } },
    { web: { ...web, endpoint: `http://${text('endpoint')}.example/` } },
    {
      web: {
        ...web,
        endpoint: `https://${text('endpoint with a bad key')}.example/`,
        keys: { p256dh: text('p256dh'), auth: text('auth') },
      },
    },
    { ...unknown('a device') },
  ];
  for (const device of devices) await refused('POST', '/v1/users/eve/devices', device);
  await refused('POST', '/v1/notifications/cancel', { cancellationKey: text('a long key of a cancellation').repeat(20) });
  await refused('POST', '/v1/notifications/cancel', { cancellationKey: text('key of a cancellation'), ...unknown('a cancellation') });
  await refused('POST', '/v1/failed/retry', { code: text('code') });
  await refused('POST', '/v1/failed/retry', { ids: [text('id')] });
  for (const query of [`code=${text('code')}`, `cursor=${text('cursor')}`]) await refused('GET', `/v1/failed?${query}`);
  await refused('GET', `/v1/users/ann/suppressions/email?address=${text('address')}`);
  await refused('GET', `/v1/users/ann/suppressions/${text('channel')}`);
  for (const query of [`limit=${text('limit')}`, `cursor=${text('cursor of an inbox')}`])
    await refused('GET', `/v1/users/ann/notifications?${query}`);
  await refused('DELETE', `/v1/users/ann/devices/${text('a device id')}`);
  await refused('GET', `/v1/${text('path')}?q=${text('query of an unknown path')}`);
  await refused('GET', `/v1/notifications/${text('notification id')}`);
  await refused('POST', `/v1/users/ann/notifications/${text('id of what is read')}/read`);
  await refused('POST', '/v1/notifications', good, { 'content-type': `text/${text('content type')}` });
  await refused(
    'POST',
    '/v1/notifications',
    { ...good, idempotencyKey: text('idempotencyKey') },
    { 'idempotency-key': text('Idempotency-Key') },
  );
  await refused('GET', '/v1/failed', undefined, { authorization: `Bearer ${text('API key')}` });
  await refused('GET', '/v1/me/notifications', undefined, { authorization: `Bearer ${text('client token')}` });
  await refused('GET', `/unsubscribe/${text('unsubscribe token')}`, undefined, { accept: 'application/json' });
  const frames = [
    `{"type": ${text('broken frame')}`,
    { type: text('type') },
    { type: 'markAsRead', notificationId: text('notificationId') },
    { type: 'getNotifications', limit: text('limit of a frame') },
    { type: 'getNotifications', offset: 0, limit: 1000, ...unknown('a frame') },
    { type: 'authenticate', token: text('token of a frame') },
  ];
  for (const [i, frame] of frames.entries()) {
    client.send(frame);
    await waitFor(() => client.frames.filter(({ type }) => type === 'error').length === i + 1, { what: `frame ${i + 1} to be refused` });
  }
  for (const frame of client.frames.filter(({ type }) => type === 'error')) evidence.add('problems', JSON.stringify(frame));
  evidence.add('problems', (await client.closed).reason);
}

const nested = (depth: number, name: () => string): object => ({ [name()]: depth === 0 ? 1 : nested(depth - 1, name) });
