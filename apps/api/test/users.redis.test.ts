import { randomUUID } from 'node:crypto';
import { createTokenVerifier } from '@carillon/access';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { inboxPageSchema, tokenSchema } from '../src/schemas.js';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

const call = (method: 'GET' | 'POST', url: string, payload?: object) =>
  running.api.inject({ method, url, headers: AUTHORIZED, ...(payload && { payload }) });

/** Puts notifications into an inbox, oldest first, and gives their ids, newest first. */
async function fill(userId: string, count: number): Promise<string[]> {
  const now = Date.now();
  const items = Array.from({ length: count }, (_, index) => ({
    id: randomUUID(),
    userId,
    templateId: 'appointment',
    priority: 'normal' as const,
    channels: ['in_app' as const],
    createdAt: now - (count - index) * 1000,
    content: { title: 'Appointment', body: `Number ${index}` },
    data: {},
  }));
  expect((await running.inbox.append(items)).every(({ ok }) => ok)).toBe(true);
  return items.map(({ id }) => id).reverse();
}

test('an inbox is read by limit and offset, or by cursor', async () => {
  const ids = await fill('reader', 5);
  const idsOf = (body: string) =>
    inboxPageSchema
      .strict()
      .parse(JSON.parse(body))
      .data.map(({ id }) => id);
  expect(idsOf((await call('GET', '/v1/users/reader/notifications')).body)).toEqual(ids);
  expect(idsOf((await call('GET', '/v1/users/reader/notifications?limit=2&offset=1')).body)).toEqual(ids.slice(1, 3));

  const first = await call('GET', '/v1/users/reader/notifications?limit=3');
  expect(first.json()).toMatchObject({ unreadCount: 5, nextCursor: expect.any(String) });
  const rest = await call('GET', `/v1/users/reader/notifications?limit=3&cursor=${encodeURIComponent(first.json().nextCursor)}`);
  expect(idsOf(rest.body)).toEqual(ids.slice(3));
  expect(rest.json().nextCursor).toBeNull();
});

test.each([
  ['offset=1&cursor=x', 'cursor'],
  ['cursor=not-one', 'cursor'],
  ['limit=1000', 'limit'],
  ['offset=-1', 'offset'],
])('?%s is refused', async (query, field) => {
  const answer = await call('GET', `/v1/users/reader/notifications?${query}`);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', field });
});

test('notifications are marked as read, one and all', async () => {
  const [id] = await fill('marker', 3);
  const unread = async () => (await call('GET', '/v1/users/marker/unread-count')).json();
  expect(await unread()).toEqual({ unreadCount: 3 });
  expect((await call('POST', `/v1/users/marker/notifications/${id}/read`)).statusCode).toBe(204);
  expect((await call('POST', `/v1/users/marker/notifications/${id}/read`, {})).statusCode).toBe(204);
  expect(await unread()).toEqual({ unreadCount: 2 });
  expect((await call('POST', '/v1/users/marker/notifications/read-all')).statusCode).toBe(204);
  expect(await unread()).toEqual({ unreadCount: 0 });

  for (const unknown of [randomUUID(), 'x']) {
    const answer = await call('POST', `/v1/users/marker/notifications/${unknown}/read`);
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({ code: 'NOTIFICATION_NOT_FOUND' });
  }
  expect((await call('POST', `/v1/users/somebody-else/notifications/${id}/read`)).statusCode).toBe(404);
});

test('a body of content type JSON may be empty', async () => {
  const headers = { ...AUTHORIZED, 'content-type': 'application/json' };
  const answer = await running.api.inject({ method: 'POST', url: '/v1/users/marker/notifications/read-all', headers });
  expect(answer.statusCode).toBe(204);
});

test.each(['auth0|abc', 'a/b/c', 'with space', '🛎️', '日'.repeat(256), 'a{b}%7D', '100%'])(
  '%s is a user id like any other',
  async (userId) => {
    const [id] = await fill(userId, 1);
    const path = `/v1/users/${encodeURIComponent(userId)}`;
    expect((await call('GET', `${path}/unread-count`)).json()).toEqual({ unreadCount: 1 });
    expect((await call('GET', `${path}/notifications`)).json().data).toMatchObject([{ id, userId }]);
  },
);

test.each(['%0A', 'x'.repeat(257)])('%s is not', async (userId) => {
  const answer = await call('GET', `/v1/users/${userId}/unread-count`);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', field: 'userId' });
});

test('a path that cannot be decoded is a problem like any other', async () => {
  const answer = await call('GET', '/v1/users/%zz/unread-count');
  expect(answer.statusCode).toBe(400);
  expect(answer.headers['content-type']).toContain('application/problem+json');
});

test('a token is for the user, with the address to connect to', async () => {
  const before = Date.now();
  const answer = await call('POST', '/v1/tokens', { userId: 'auth0|abc', ttlSeconds: 60 });
  expect(answer.statusCode).toBe(200);
  const { token, expiresAt, url } = tokenSchema.strict().parse(answer.json());
  expect(url).toBe('ws://localhost:8082');
  expect(expiresAt).toBeGreaterThanOrEqual(before + 60_000);
  const verifier = createTokenVerifier({ jwtSecret: 'a secret of more than thirty-two characters' });
  expect(await verifier.verify(token)).toMatchObject({ userId: 'auth0|abc', expiresAt });
});

test.each([
  [{}, 'userId'],
  [{ userId: 7 }, 'userId'],
  [{ userId: 'u', ttlSeconds: 0 }, 'ttlSeconds'],
  [{ userId: 'u', ttlSeconds: 1e9 }, 'ttlSeconds'],
  [{ userId: 'u', more: 1 }, 'more'],
])('no token for %j', async (payload, field) => {
  const answer = await call('POST', '/v1/tokens', payload);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', field });
});
