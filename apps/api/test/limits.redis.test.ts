import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Api, createApi } from '../src/index.js';
import { APPOINTMENT, AUTHORIZED, type RunningApi, request, startApi } from './running-api.js';

let running: RunningApi;
const apis: Api[] = [];
beforeAll(async () => {
  running = await startApi();
  await running.parts.templates.register(APPOINTMENT);
});
afterAll(async () => {
  await Promise.all(apis.map((api) => api.close()));
  await running.close();
});

/** The same parts behind limits of their own: so many requests a second. */
function limited(perSecond: number): Api {
  const api = createApi({ ...running.parts, rateApi: perSecond / 1000 }, { port: 0, host: '127.0.0.1' });
  apis.push(api);
  return api;
}
const get = (api: Api, url: string, headers: Record<string, string>, remoteAddress = '127.0.0.1') =>
  api.inject({ method: 'GET', url, headers, remoteAddress });
const other = { authorization: 'Bearer other-key' };

test('over HTTP a key that asks too much is told when to come back, and no other suffers', async () => {
  const { url } = await limited(5).listen();
  const answers = await Promise.all(Array.from({ length: 8 }, () => fetch(`${url}/v1/templates`, { headers: AUTHORIZED })));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
  const refused = answers.find(({ status }) => status === 429) as Response;
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(refused.headers.get('ratelimit-policy')).toBe('"default";q=5;w=1');
  expect(refused.headers.get('ratelimit')).toBe('"default";r=0;t=1');
  expect(await refused.json()).toMatchObject({ code: 'RATE_LIMITED', status: 429 });
  expect((await fetch(`${url}/v1/templates`, { headers: other })).status).toBe(200);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect(await running.metrics.render()).toMatch(/^carillon_authentication_failures_total\{where="http",code="RATE_LIMITED"\} 3/m);
  expect(running.audited.filter(({ action, outcome }) => action === 'access.refused' && outcome === 'RATE_LIMITED')).toHaveLength(3);
});

test('two keys of one name and the queue board share a budget; users have their own', async () => {
  const api = limited(3);
  const as = async (userId: string) => ({ authorization: `Bearer ${(await running.parts.issueToken?.(userId))?.token}` });
  expect((await get(api, '/admin/queues/api/queues', AUTHORIZED)).statusCode).toBe(200);
  expect((await get(api, '/v1/templates', AUTHORIZED)).headers.ratelimit).toBe('"default";r=1;t=1');
  const [ann, bob] = [await as('ann'), await as('bob')];
  for (const status of [200, 200, 200, 429]) expect((await get(api, '/v1/me/preferences', ann)).statusCode).toBe(status);
  expect((await get(api, '/v1/me/preferences', bob)).statusCode).toBe(200);
});

test('a bulk request costs one per hundred, and nothing of it is queued if that is too much', async () => {
  const api = limited(4);
  const bulk = (count: number, headers: Record<string, string>) =>
    api.inject({
      method: 'POST',
      url: '/v1/notifications/bulk',
      headers,
      payload: { notifications: Array.from({ length: count }, () => request()) },
    });
  const waiting = async () => (await running.views.counts()).reduce((sum, { length }) => sum + length, 0);
  const small = await bulk(101, AUTHORIZED);
  expect(small.statusCode).toBe(202);
  expect(small.headers.ratelimit).toBe('"default";r=2;t=1');
  const before = await waiting();
  expect((await bulk(301, AUTHORIZED)).statusCode).toBe(429);
  expect(await waiting()).toBe(before);
});

test('a bulk request passes with a low limit when nothing else was asked', async () => {
  const notifications = Array.from({ length: 1000 }, () => request());
  for (const perSecond of [4, 0.5]) {
    const api = limited(perSecond);
    const answer = await api.inject({ method: 'POST', url: '/v1/notifications/bulk', headers: other, payload: { notifications } });
    expect(answer.statusCode).toBe(202);
    expect(answer.headers.ratelimit).toMatch(/^"default";r=0;/);
  }
});

test('an address that guesses is told to stop, and what is right passes from there all the same', async () => {
  const api = limited(1000);
  const from = '198.51.100.7';
  const urls = ['/v1/templates', '/v1/me/devices', '/admin/queues/api/queues'];
  // Asking without a key guesses nothing.
  for (let i = 0; i < 5; i++) expect((await get(api, '/v1/templates', {}, from)).statusCode).toBe(401);
  for (let i = 0; i < 60; i++) {
    const guess = { authorization: `Bearer guess-${i}` };
    expect((await get(api, urls[i % 3] as string, guess, from)).statusCode).toBe(401);
  }
  const form = { method: 'POST' as const, url: '/admin/login', headers: { 'content-type': 'application/x-www-form-urlencoded' } };
  const signIn = (key: string) => api.inject({ ...form, payload: `key=${key}`, remoteAddress: from });
  for (const url of urls) {
    const answer = await get(api, url, { authorization: 'Bearer guess' }, from);
    expect([url, answer.statusCode, answer.json().code]).toEqual([url, 429, 'RATE_LIMITED']);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  }
  const refused = await signIn('guess');
  expect(refused.statusCode).toBe(429);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect((await get(api, '/v1/templates', {}, from)).statusCode).toBe(401);

  // None of these was seen before.
  const { token } = (await running.parts.issueToken?.('behind-one-address')) ?? { token: '' };
  expect((await get(api, '/v1/templates', other, from)).statusCode).toBe(200);
  expect((await get(api, '/v1/me/devices', { authorization: `Bearer ${token}` }, from)).statusCode).toBe(200);
  expect((await get(api, '/admin/queues/api/queues', AUTHORIZED, from)).statusCode).toBe(200);
  expect((await signIn('other-key')).statusCode).toBe(303);
  expect((await get(api, '/v1/templates', { authorization: 'Bearer guess' }, '198.51.100.8')).statusCode).toBe(401);
});

test('expired and revoked tokens are no guesses', async () => {
  const api = limited(1000);
  const from = '198.51.100.9';
  const { token } = (await running.parts.issueToken?.('late')) ?? { token: '' };
  await running.parts.revocations.revoke('late');
  for (let i = 0; i < 61; i++) {
    expect((await get(api, '/v1/me/devices', { authorization: `Bearer ${token}` }, from)).json().code).toBe('TOKEN_REVOKED');
  }
  expect((await get(api, '/v1/templates', other, from)).statusCode).toBe(200);
});
