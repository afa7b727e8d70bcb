import { randomUUID } from 'node:crypto';
import { createTokenIssuer } from '@carillon/access';
import type { ChannelItem, Notification } from '@carillon/contracts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
async function as(userId: string): Promise<{ authorization: string }> {
  const answer = await running.api.inject({ method: 'POST', url: '/v1/tokens', headers: AUTHORIZED, payload: { userId } });
  return { authorization: `Bearer ${answer.json().token}` };
}
const call = (method: Method, url: string, headers: Record<string, string>, payload?: object) =>
  running.api.inject({ method, url, headers, ...(payload && { payload }) });

test('a user reads and writes their own preferences, and nobody else’s', async () => {
  const [ann, bob] = [await as('auth0|ann'), await as('bob')];
  expect((await call('GET', '/v1/me/preferences', ann)).json()).toEqual({});
  const wishes = { channels: { email: false } };
  const put = await call('PUT', '/v1/me/preferences', ann, wishes);
  expect(put.statusCode).toBe(200);
  expect(put.json()).toEqual(wishes);
  expect((await call('GET', '/v1/me/preferences', ann)).json()).toEqual(wishes);
  expect((await call('GET', '/v1/me/preferences', bob)).json()).toEqual({});
  expect((await call('GET', `/v1/users/${encodeURIComponent('auth0|ann')}/preferences`, AUTHORIZED)).json()).toEqual(wishes);
});

test('a user registers, lists and forgets their own devices, and nobody else’s', async () => {
  const [ann, bob] = [await as('ann'), await as('bob')];
  const { id } = (await call('POST', '/v1/me/devices', ann, { fcm: { fid: 'installation-1' } })).json();
  expect((await call('GET', '/v1/me/devices', ann)).json().data).toMatchObject([{ id, kind: 'fcm' }]);
  expect((await call('GET', '/v1/me/devices', bob)).json().data).toEqual([]);
  expect((await call('DELETE', `/v1/me/devices/${id}`, bob)).json()).toMatchObject({ code: 'DEVICE_NOT_FOUND' });
  expect((await call('GET', '/v1/me/devices', ann)).json().data).toHaveLength(1);
  expect((await call('DELETE', `/v1/me/devices/${id}`, ann)).statusCode).toBe(204);
  expect((await call('GET', '/v1/me/devices', ann)).json().data).toEqual([]);
});

test.each([
  ['PUT', '/v1/me/preferences', { mute: 1 }, 'mute'],
  ['PUT', '/v1/me/preferences', { userId: 'bob' }, 'userId'],
  ['POST', '/v1/me/devices', { fcm: {} }, 'fcm'],
] as const)('%s %s with %j is refused by its field', async (method, url, payload, field) => {
  const answer = await call(method, url, await as('ann'), payload);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', field });
});

test('another’s token, an expired one, an API key and none at all open nothing', async () => {
  const foreign = createTokenIssuer({ jwtSecret: 'another secret of more than thirty-two characters' });
  const { token: forged } = await foreign.issue('ann', 60);
  const [head, , signature] = forged.split('.');
  const unsigned = `${head}.${Buffer.from(JSON.stringify({ sub: 'ann', exp: 4e9 })).toString('base64url')}.${signature}`;
  for (const [headers, code] of [
    [{}, 'TOKEN_INVALID'],
    [{ authorization: `Bearer ${forged}` }, 'TOKEN_INVALID'],
    [{ authorization: `Bearer ${unsigned}` }, 'TOKEN_INVALID'],
    [AUTHORIZED, 'TOKEN_INVALID'],
  ] as [Record<string, string>, string][]) {
    const answer = await call('GET', '/v1/me/preferences', headers);
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(answer.json()).toMatchObject({ code });
  }
  expect(await running.metrics.render()).toMatch(/^carillon_authentication_failures_total\{where="me",code="TOKEN_INVALID"\} 4/m);
});

test('a token that has expired says so', async () => {
  const issuer = createTokenIssuer({ jwtSecret: 'a secret of more than thirty-two characters' });
  const { token, expiresAt } = await issuer.issue('ann', 1);
  await new Promise((resolve) => setTimeout(resolve, expiresAt - Date.now() + 5));
  const answer = await call('GET', '/v1/me/preferences', { authorization: `Bearer ${token}` });
  expect(answer.statusCode).toBe(401);
  expect(answer.json()).toMatchObject({ code: 'TOKEN_EXPIRED' });
});

test('a client token opens nothing that needs an API key', async () => {
  expect((await call('GET', '/v1/users/ann/preferences', await as('ann'))).json()).toMatchObject({ code: 'UNAUTHORIZED' });
});

/** Puts notifications into an inbox, oldest first, and gives their ids, oldest first. */
async function fill(userId: string, ...all: Partial<ChannelItem>[]): Promise<string[]> {
  const items = all.map((more, index) => ({
    id: randomUUID(),
    userId,
    templateId: 'appointment',
    priority: 'normal' as const,
    channels: ['in_app' as const],
    createdAt: 1_800_000_000_000 + index,
    content: { title: 'Appointment', body: `Number ${index}` },
    data: {},
    ...more,
  }));
  expect((await running.inbox.append(items)).every(({ ok }) => ok)).toBe(true);
  return items.map(({ id }) => id);
}
const NOTIFICATIONS = '/v1/me/notifications';
const idsOf = ({ data }: { data: Notification[] }) => data.map(({ id }) => id);

/** The routes of an inbox, by a user's own token and by an API key. */
describe.each([
  ['/v1/me', as],
  ['/v1/users/:userId', async () => AUTHORIZED],
] as const)('an inbox at %s', (route, proofFor) => {
  const at = async (user: string) => {
    const userId = `${route}|${user}`;
    const [path, proof] = [route.replace(':userId', encodeURIComponent(userId)), await proofFor(userId)];
    return { userId, ask: (method: Method, rest: string, payload?: object) => call(method, `${path}${rest}`, proof, payload) };
  };

  test('is narrowed by every filter, and read on by cursor or offset', async () => {
    const { userId, ask } = await at('filters');
    const kinds = [{ category: 'care' }, { threadId: 't 1' }, { tags: ['a', 'b&c'] }, {}] as const;
    const [care, thread, tagged, plain] = (await fill(userId, ...kinds.map((kind) => structuredClone(kind) as Partial<ChannelItem>))) as [
      string,
      string,
      string,
      string,
    ];
    expect((await ask('PATCH', `/notifications/${plain}`, { archived: true })).statusCode).toBe(200);
    for (const [query, ids] of [
      ['', [plain, tagged, thread, care]],
      ['unread=true', [tagged, thread, care]],
      ['unread=false', [plain]],
      ['archived=true', [plain]],
      ['archived=false&category=care', [care]],
      ['threadId=t%201', [thread]],
      ['tag=b%26c', [tagged]],
      ['tag=nobody', []],
      ['since=1800000000002', [plain, tagged]],
      ['unread=true&offset=1&limit=1', [thread]],
    ] as const) {
      const answer = await ask('GET', `/notifications?${query}`);
      expect([query, idsOf(answer.json()), answer.json().unreadCount]).toEqual([query, ids, 3]);
    }
    const first = (await ask('GET', '/notifications?unread=true&limit=2')).json();
    const rest = (await ask('GET', `/notifications?unread=true&limit=2&cursor=${first.nextCursor}`)).json();
    expect([idsOf(first), idsOf(rest), rest.nextCursor]).toEqual([[tagged, thread], [care], null]);
    expect((await ask('GET', '/unread-count')).json()).toEqual({ unreadCount: 3 });
  });

  test('is marked, one by one and all, and what is removed is gone', async () => {
    const { userId, ask } = await at('marks');
    const [one, two] = (await fill(userId, {}, {}, {})) as [string, string];
    const patch = async (body: object) => (await ask('PATCH', `/notifications/${one}`, body)).json() as Notification;
    const was = ({ readAt, seenAt, archivedAt }: Notification) => [readAt, seenAt, archivedAt].map((time) => time !== null);
    expect(was(await patch({ seen: true }))).toEqual([false, true, false]);
    expect(was(await patch({ read: true }))).toEqual([true, true, false]);
    expect(was(await patch({ read: false }))).toEqual([false, true, false]);
    expect(was(await patch({ archived: true, read: false }))).toEqual([true, true, true]);
    expect(was(await patch({ archived: false }))).toEqual([true, true, false]);
    expect((await ask('GET', '/unread-count')).json()).toEqual({ unreadCount: 2 });

    expect((await ask('DELETE', `/notifications/${two}`)).statusCode).toBe(204);
    for (const again of [await ask('DELETE', `/notifications/${two}`), await ask('PATCH', `/notifications/${two}`, { read: true })])
      expect([again.statusCode, again.json().code]).toEqual([404, 'NOTIFICATION_NOT_FOUND']);
    expect((await ask('GET', '/unread-count')).json()).toEqual({ unreadCount: 1 });
    for (const url of ['/read-all', '/notifications/read-all']) {
      await fill(userId, {});
      expect((await ask('POST', url)).statusCode).toBe(204);
      expect((await ask('GET', '/unread-count')).json()).toEqual({ unreadCount: 0 });
    }
  });

  test.each([
    ['unread=yes', 'unread'],
    ['archived=', 'archived'],
    ['category=', 'category'],
    [`threadId=${'x'.repeat(129)}`, 'threadId'],
    ['tag=a&tag=b', 'tag'],
    ['tag=%0A', 'tag'],
    ['since=-1', 'since'],
    ['since=today', 'since'],
    ['limit=0', 'limit'],
    ['cursor=nonsense', 'cursor'],
    ['cursor=x&offset=0', 'cursor'],
  ])('?%s is refused by its field', async (query, field) => {
    const answer = await (await at('bad')).ask('GET', `/notifications?${query}`);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', field });
  });

  test.each([
    [{ seen: false }, 'seen'],
    [{ read: 'yes' }, 'read'],
    [{ archived: null }, 'archived'],
    [{ read: true, more: 1 }, 'more'],
    [{}, undefined],
    [undefined, undefined],
  ])('%j changes nothing and is refused by its field', async (body, field) => {
    const { userId, ask } = await at(`bad ${randomUUID()}`);
    const [id] = await fill(userId, {});
    const answer = await ask('PATCH', `/notifications/${id}`, body);
    expect(answer.statusCode).toBe(400);
    expect([answer.json().code, answer.json().field]).toEqual(['FIELD_INVALID', field]);
    expect((await running.inbox.head(userId)).offset).toBe(1);
  });

  test.each([randomUUID(), 'x', encodeURIComponent('../read-all')])('the notification %s is unknown', async (id) => {
    const { ask } = await at('unknown');
    for (const answer of [await ask('PATCH', `/notifications/${id}`, { read: true }), await ask('DELETE', `/notifications/${id}`)])
      expect([answer.statusCode, answer.json().code]).toEqual([404, 'NOTIFICATION_NOT_FOUND']);
  });
});

test('a user sees and changes their own inbox, and nobody else’s', async () => {
  const [ann, bob] = [await as('ann-own'), await as('bob-own')];
  const [id] = await fill('ann-own', {});
  expect((await call('GET', NOTIFICATIONS, bob)).json()).toEqual({ data: [], nextCursor: null, unreadCount: 0 });
  for (const answer of [
    await call('PATCH', `${NOTIFICATIONS}/${id}`, bob, { read: true }),
    await call('DELETE', `${NOTIFICATIONS}/${id}`, bob),
  ])
    expect([answer.statusCode, answer.json().code]).toEqual([404, 'NOTIFICATION_NOT_FOUND']);
  expect((await call('POST', '/v1/me/read-all', bob)).statusCode).toBe(204);
  const { data, unreadCount } = (await call('GET', NOTIFICATIONS, ann)).json();
  expect([data[0].id, data[0].readAt, unreadCount]).toEqual([id, null, 1]);
});

test('an expired, a revoked and a forged token open no inbox', async () => {
  const [id] = await fill('gone', {});
  const gone = await as('gone');
  await running.parts.revocations.revoke('gone');
  const { token, expiresAt } = await createTokenIssuer({ jwtSecret: 'a secret of more than thirty-two characters' }).issue('late', 1);
  await new Promise((resolve) => setTimeout(resolve, expiresAt - Date.now() + 5));
  for (const [headers, code] of [
    [gone, 'TOKEN_REVOKED'],
    [{ authorization: `Bearer ${token}` }, 'TOKEN_EXPIRED'],
    [{ authorization: 'Bearer x.y.z' }, 'TOKEN_INVALID'],
    [AUTHORIZED, 'TOKEN_INVALID'],
  ] as [Record<string, string>, string][]) {
    for (const answer of [
      await call('GET', NOTIFICATIONS, headers),
      await call('GET', '/v1/me/unread-count', headers),
      await call('PATCH', `${NOTIFICATIONS}/${id}`, headers, { read: true }),
      await call('DELETE', `${NOTIFICATIONS}/${id}`, headers),
      await call('POST', '/v1/me/read-all', headers),
      await call('POST', `${NOTIFICATIONS}/read-all`, headers),
    ])
      expect([answer.statusCode, answer.json().code]).toEqual([401, code]);
  }
  expect(await running.inbox.head('gone')).toMatchObject({ offset: 1, unreadCount: 1 });
});

test('a key that may only send marks without being shown what it marks', async () => {
  const [id] = await fill('shy', {});
  const answer = await call('PATCH', `/v1/users/shy/notifications/${id}`, { authorization: 'Bearer send-key' }, { read: true });
  expect([answer.statusCode, answer.body]).toEqual([204, '']);
  expect((await running.inbox.head('shy')).unreadCount).toBe(0);
});
