import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

const get = (url: string) => running.api.inject({ method: 'GET', url, headers: AUTHORIZED });

test('why something did not arrive is told in words, and nothing of what it said', async () => {
  const userId = 'auth0|tim';
  const common = { userId, templateId: 'visit', templateVersion: 'v1', category: 'sealed-category' };
  const ids = [randomUUID(), randomUUID(), randomUUID()] as const;
  const createdAt = Date.now();
  await running.deliveries.create(ids.map((id, i) => ({ ...common, id, channels: ['email' as const], createdAt: createdAt - i })));
  await running.deliveries.settle([
    { id: ids[0], channel: 'email', status: 'skipped', attempts: 0, reason: 'no_email' },
    { id: ids[1], channel: 'email', status: 'failed', attempts: 2, reason: 'PROVIDER_REFUSED', provider: 'pigeon' },
  ]);
  const path = `/v1/users/${encodeURIComponent(userId)}/deliveries`;
  running.audited.length = 0;
  const page = await get(`${path}?limit=2`);
  expect(page.statusCode).toBe(200);
  const { data, nextCursor } = page.json();
  expect(data).toMatchObject([
    {
      id: ids[0],
      status: 'skipped',
      deliveries: [{ channel: 'email', status: 'skipped', reason: 'no_email', explanation: 'The user has no mail address.' }],
    },
    {
      id: ids[1],
      status: 'failed',
      deliveries: [{ status: 'failed', attempts: 2, provider: 'pigeon', explanation: expect.stringMatching(/provider refuses/) }],
    },
  ]);
  expect(page.body).not.toContain('sealed-category');
  expect(running.audited).toEqual([
    expect.objectContaining({ action: 'notification.viewed', users: [userId], ids: ids.slice(0, 2), kept: true }),
  ]);
  const rest = (await get(`${path}?limit=2&cursor=${nextCursor}`)).json();
  expect(rest).toMatchObject({
    data: [{ id: ids[2], status: 'pending', deliveries: [{ reason: null, explanation: null }] }],
    nextCursor: null,
  });
  expect((await get(`${path}?limit=0`)).json()).toMatchObject({ code: 'FIELD_INVALID', field: 'limit' });
  expect((await get(`${path}?cursor=nonsense`)).json()).toMatchObject({ code: 'FIELD_INVALID', field: 'cursor' });
  expect((await get('/v1/users/nobody/deliveries')).json()).toEqual({ data: [], nextCursor: null });
});
