import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditQuery } from '@carillon/audit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApi } from '../src/index.js';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

const call = (method: 'GET' | 'POST' | 'DELETE' | 'PATCH', url: string, headers: Record<string, string> = AUTHORIZED, payload?: object) =>
  running.api.inject({ method, url, headers, ...(payload && { payload }) });
const as = async (userId: string) => ({ authorization: `Bearer ${(await running.parts.issueToken?.(userId))?.token}` });

test('a user’s tokens are revoked, others’ and later ones are not', async () => {
  const [ann, bob] = [await as('ann'), await as('bob')];
  expect((await call('GET', '/v1/me/preferences', ann)).statusCode).toBe(200);
  await sleep(5);
  const answer = await call('POST', '/v1/users/ann/revoke-tokens');
  expect(answer.statusCode).toBe(204);
  expect(answer.body).toBe('');
  const refused = await call('GET', '/v1/me/preferences', ann);
  expect(refused.statusCode).toBe(401);
  expect(refused.json()).toMatchObject({ code: 'TOKEN_REVOKED' });
  expect((await call('GET', '/v1/me/preferences', bob)).statusCode).toBe(200);
  expect((await call('GET', '/v1/me/preferences', await as('ann'))).statusCode).toBe(200);
  expect(await running.metrics.render()).toMatch(/^carillon_authentication_failures_total\{where="me",code="TOKEN_REVOKED"\} 1/m);
});

test('a person is erased, and the erasure says how it stands', async () => {
  const answer = await call('DELETE', `/v1/users/${encodeURIComponent('auth0|leaver')}`);
  expect(answer.statusCode).toBe(202);
  const { erasureId } = answer.json();
  expect(Object.keys(answer.json())).toEqual(['erasureId']);
  const report = await call('GET', `/v1/erasures/${erasureId}`);
  expect(report.statusCode).toBe(200);
  expect(report.json()).toMatchObject({ id: erasureId, status: 'erasing', completedAt: null, remains: [{ where: expect.any(String) }] });
  expect(running.audited).toContainEqual({
    actor: { type: 'key', name: 'tests' },
    action: 'person.erased',
    ids: [erasureId],
    users: ['auth0|leaver'],
    kept: true,
  });
  expect((await call('GET', '/v1/erasures/unknown')).json()).toMatchObject({ code: 'ERASURE_NOT_FOUND', status: 404 });
});

test('a person is exported', async () => {
  expect((await call('GET', '/v1/users/ann/export')).json()).toEqual({ userId: 'ann' });
});

test('the audit trail is asked by its filters', async () => {
  const asked: AuditQuery[] = [];
  const auditReader = {
    read: async (query: AuditQuery) => {
      asked.push(query);
      return { data: [], nextCursor: 'on' };
    },
  };
  const api = createApi({ ...running.parts, auditReader }, { port: 0 });
  const get = (query: string) => api.inject({ method: 'GET', url: `/v1/audit${query}`, headers: AUTHORIZED });
  expect((await get('')).json()).toEqual({ data: [], nextCursor: 'on' });
  const filters = '?action=inbox.viewed&actor=tests&user=auth0%7Cann&id=n1&since=1&until=2&limit=7&cursor=c';
  expect((await get(filters)).statusCode).toBe(200);
  expect(asked).toEqual([
    { limit: 50 },
    { action: 'inbox.viewed', actor: 'tests', user: 'auth0|ann', id: 'n1', since: 1, until: 2, limit: 7, cursor: 'c' },
  ]);
  for (const field of ['action=nothing', 'limit=0', 'since=x', 'user=%00', 'actor=']) {
    expect((await get(`?${field}`)).json()).toMatchObject({ code: 'FIELD_INVALID', field: field.split('=')[0] });
  }
  await api.close();
});

test('a key that may only send changes a profile and is not shown it', async () => {
  await running.directory.setProfile('ann', { email: 'ann@clinic.example' });
  const sender = await call('PATCH', '/v1/users/ann', { authorization: 'Bearer send-key' }, {});
  expect(sender.statusCode).toBe(204);
  expect(sender.body).toBe('');
  const both = await call('PATCH', '/v1/users/ann', AUTHORIZED, { locale: 'de' });
  expect(both.json()).toMatchObject({ email: 'ann@clinic.example', locale: 'de' });
});
