import { createHash, randomUUID } from 'node:crypto';
import { createApiKeys } from '@carillon/access';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createApi } from '../src/index.js';
import { APPOINTMENT, AUTHORIZED, KEY, type RunningApi, request, startApi } from './running-api.js';

type Headers = Record<string, string>;

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
  await running.parts.templates.register(APPOINTMENT);
});
afterAll(() => running.close());
beforeEach(() => {
  running.audited.length = 0;
});

const HOST = 'carillon.example:8080';
const HERE = { origin: `http://${HOST}` };
const call = (
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  url: string,
  headers: Headers = {},
  payload?: object,
  api = running.api,
) => api.inject({ method, url, headers: { host: HOST, ...headers }, ...(payload !== undefined && { payload }) });
const keyOf = (bearer: string) => {
  const key = running.parts.apiKeys.find(bearer);
  if (!key) throw new Error('no such key');
  return key;
};
const link = (bearer = KEY) => running.openings.issue(keyOf(bearer));

/** Opens a link and gives the Cookie header a browser would send from then on. */
async function session(bearer = KEY): Promise<Headers> {
  const [cookie] = (await call('GET', await link(bearer))).cookies;
  return { cookie: `${cookie?.name}=${encodeURIComponent(cookie?.value ?? '')}` };
}
const sealed = (changes: object) => {
  const session = { ...keyOf(KEY), expiresAt: Date.now() + 60_000, ...changes };
  return { cookie: `carillon_session=${encodeURIComponent(running.vault.seal('session', 'admin', JSON.stringify(session)))}` };
};

test('a link opens a session once, and leaves neither key nor code behind', async () => {
  const url = await link();
  expect(url).toMatch(/^\/open\/[\w-]{43}$/);
  const stored = await running.redis.command<string[]>('KEYS', '*opening:*');
  expect(stored.join()).not.toContain(url.slice('/open/'.length));
  const opened = await call('GET', url);
  expect([opened.statusCode, opened.headers.location, opened.body]).toEqual([303, '/', '']);
  expect(opened.headers['cache-control']).toBe('no-store');
  expect(opened.cookies).toEqual([
    { name: 'carillon_session', value: expect.any(String), httpOnly: true, sameSite: 'Strict', path: '/', maxAge: 8 * 3600 },
  ]);
  expect(running.audited).toEqual([
    expect.objectContaining({ action: 'session.opened', actor: { type: 'admin', name: 'tests' }, outcome: 'ok' }),
  ]);
  expect(JSON.stringify(running.audited)).not.toContain(url.slice('/open/'.length));

  const again = await call('GET', url);
  expect([again.statusCode, again.cookies]).toEqual([401, []]);
  expect(again.headers['content-type']).toContain('text/html');
  expect(again.body).toContain('href="/admin/login?to=%2F"');
  expect((await call('GET', '/open/guess')).statusCode).toBe(401);
  expect(await running.metrics.render()).toMatch(/^carillon_authentication_failures_total\{where="link",code="UNAUTHORIZED"\} 2$/m);
  expect(running.log.join()).not.toContain(url.slice('/open/'.length));
});

test('of ten who open a link at once one is in', async () => {
  const url = await link();
  const answers = await Promise.all(Array.from({ length: 10 }, () => call('GET', url)));
  expect(answers.filter(({ statusCode }) => statusCode === 303)).toHaveLength(1);
});

test('what looks at a link without opening it does not use it up', async () => {
  const url = await link();
  expect((await call('HEAD', url)).statusCode).toBe(404);
  expect((await call('GET', url, { 'sec-purpose': 'prefetch' })).statusCode).toBe(404);
  expect((await call('GET', url, { purpose: 'prefetch' })).statusCode).toBe(404);
  expect((await call('GET', url)).statusCode).toBe(303);
});

test('a link is over after an hour, and with its key', async () => {
  const url = await link();
  const [name] = await running.redis.command<string[]>('KEYS', '*opening:*');
  const ttl = await running.redis.command<number>('PTTL', name as string);
  expect(ttl).toBeGreaterThan(3_590_000);
  expect(ttl).toBeLessThanOrEqual(3_600_000);
  const without = createApi({ ...running.parts, apiKeys: createApiKeys('tests:another-key') }, { port: 0 });
  expect((await call('GET', url, {}, undefined, without as RunningApi['api'])).statusCode).toBe(401);
  await without.close();
  expect((await call('GET', await link('send-key'))).statusCode).toBe(403);
});

test('a link that does not open, since the key that sealed it is gone, is none', async () => {
  const url = await link();
  const name = createHash('sha256').update(url.slice('/open/'.length)).digest('base64url');
  await running.redis.command('SET', running.redis.keys.opening(name), 'sealed with another key');
  expect((await call('GET', url)).statusCode).toBe(401);
});

test('who guesses links is told to stop like who guesses keys', async () => {
  const guess = () => running.api.inject({ method: 'GET', url: '/open/guess', remoteAddress: '192.0.2.77' });
  for (let i = 0; i < 60; i++) expect((await guess()).statusCode).toBe(401);
  const refused = await guess();
  expect(refused.statusCode).toBe(429);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
});

test('with a session one may on the interface what the key may, and is on record as who signed in', async () => {
  const cookie = await session();
  expect((await call('GET', '/metrics', cookie)).statusCode).toBe(200);
  expect((await call('GET', '/openapi.json', cookie)).statusCode).toBe(200);
  running.audited.length = 0;
  const queued = await call('POST', '/v1/notifications', { ...cookie, ...HERE }, request({ idempotencyKey: 'page-1' }));
  expect(queued.statusCode).toBe(202);
  const { id } = queued.json();
  const seen = await call('GET', `/v1/notifications/${id}`, cookie);
  expect(seen.statusCode).toBe(200);
  const actor = { type: 'admin', name: 'tests' };
  expect(running.audited).toEqual([
    expect.objectContaining({ action: 'notification.queued', actor }),
    expect.objectContaining({ action: 'notification.viewed', actor }),
  ]);
  // Signed in or not, a key is one caller.
  const again = await call('POST', '/v1/notifications', AUTHORIZED, request({ idempotencyKey: 'page-1' }));
  expect(again.json()).toEqual({ id });
});

test('a session may no more than its key', async () => {
  const reader = await session('read-key');
  expect((await call('GET', '/v1/templates', reader)).statusCode).toBe(200);
  const refused = await call('POST', '/v1/notifications', { ...reader, ...HERE }, request());
  expect(refused.statusCode).toBe(403);
  expect(refused.json()).toMatchObject({ code: 'FORBIDDEN', field: 'send' });
});

test('a session that may not read is not shown what it marks', async () => {
  const id = randomUUID();
  const made = { templateId: 'appointment', priority: 'normal' as const, channels: ['in_app' as const], createdAt: Date.now(), data: {} };
  await running.inbox.append([{ ...made, id, userId: 'ann', content: { title: 'A secret', body: 'For Ann' } }]);
  const apiKeys = createApiKeys('ops[send+admin]:ops-key');
  const api = createApi({ ...running.parts, apiKeys }, { port: 0 }) as RunningApi['api'];
  const { name, digest } = apiKeys.find('ops-key') as { name: string; digest: string };
  for (const headers of [{ authorization: 'Bearer ops-key' }, { ...sealed({ name, digest }), ...HERE }]) {
    const answer = await call('PATCH', `/v1/users/ann/notifications/${id}`, headers, { seen: true }, api);
    expect([answer.statusCode, answer.body]).toEqual([204, '']);
  }
  await api.close();
});

test('what changes something comes from a page of ours', async () => {
  const cookie = await session();
  const foreign: Headers[] = [
    {},
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://${HOST}.evil.example` },
    { origin: 'http://carillon.example:9090' },
    // The same name without TLS, where the interface has it behind a proxy.
    { ...HERE, 'sec-fetch-site': 'cross-site' },
    { ...HERE, 'sec-fetch-site': 'same-site' },
  ];
  for (const headers of foreign) {
    for (const [method, url, payload] of [
      ['POST', '/v1/notifications', request()],
      ['PUT', '/v1/templates/stolen', APPOINTMENT],
      ['DELETE', '/v1/templates/appointment', undefined],
      ['POST', '/v1/tokens', { userId: 'ann' }],
    ] as const) {
      const answer = await call(method, url, { ...cookie, ...headers }, payload);
      expect([headers, url, answer.statusCode]).toEqual([headers, url, 401]);
      expect(answer.json()).toMatchObject({ code: 'UNAUTHORIZED' });
    }
  }
  // A proxy may name another host to us than the browser does.
  const proxied = { origin: 'https://notify.example', 'sec-fetch-site': 'same-origin' };
  for (const headers of [HERE, { ...HERE, 'sec-fetch-site': 'same-origin' }, proxied])
    expect((await call('POST', '/v1/tokens', { ...cookie, ...headers }, { userId: 'ann' })).statusCode).toBe(200);
});

test('scripts of other sites, and of other ports of the same host, read nothing with it', async () => {
  const cookie = await session();
  const url = '/v1/users/ann/notifications';
  const from = (site: string, mode = 'cors') => call('GET', url, { ...cookie, 'sec-fetch-site': site, 'sec-fetch-mode': mode });
  expect((await from('cross-site')).statusCode).toBe(401);
  expect((await from('same-site')).statusCode).toBe(401);
  expect((await from('same-site', 'no-cors')).statusCode).toBe(401);
  expect((await from('same-origin')).statusCode).toBe(200);
  expect((await from('same-site', 'navigate')).statusCode).toBe(200);
  expect((await from('none', 'navigate')).statusCode).toBe(200);
});

test('a key that is brought decides alone, right or wrong', async () => {
  const cookie = await session();
  for (const authorization of ['Bearer wrong', 'Bearer', 'Basic dGVzdC1rZXk=', '']) {
    expect((await call('GET', '/v1/templates', { ...cookie, authorization })).statusCode).toBe(401);
  }
  running.audited.length = 0;
  expect((await call('GET', '/v1/templates', { ...(await session('read-key')), authorization: 'Bearer other-key' })).statusCode).toBe(200);
  expect(running.audited.at(-1)).toMatchObject({ actor: { type: 'key', name: 'other' } });
});

test('a session that is over, altered, of another key or of one that is gone is none', async () => {
  const url = '/v1/templates';
  expect((await call('GET', url, sealed({}))).statusCode).toBe(200);
  for (const wrong of [sealed({ expiresAt: Date.now() - 1 }), sealed({ name: 'other' }), { cookie: 'carillon_session=x' }])
    expect((await call('GET', url, wrong)).statusCode).toBe(401);
  const cookie = await session();
  const without = createApi({ ...running.parts, apiKeys: createApiKeys('tests:another-key') }, { port: 0 });
  expect((await call('GET', url, cookie, undefined, without as RunningApi['api'])).statusCode).toBe(401);
  await without.close();
});

test('a session opens no door of users, and signing out ends it', async () => {
  const cookie = await session();
  expect((await call('GET', '/v1/me/preferences', cookie)).statusCode).toBe(401);
  const out = await call('POST', '/admin/logout', { ...cookie, ...HERE, 'content-type': 'application/x-www-form-urlencoded' });
  expect(out.statusCode).toBe(303);
  expect(out.cookies).toEqual([expect.objectContaining({ name: 'carillon_session', value: '' })]);
});

test('a page can ask whether it is signed in, and as what', async () => {
  expect((await call('GET', '/admin/session')).json()).toEqual({ signedIn: false });
  expect((await call('GET', '/admin/session', AUTHORIZED)).json()).toEqual({ signedIn: false });
  expect((await call('GET', '/admin/session', sealed({ expiresAt: 1 }))).json()).toEqual({ signedIn: false });
  const answer = await call('GET', '/admin/session', await session('read-key'));
  expect(answer.json()).toEqual({ signedIn: true, name: 'reader', scopes: ['read'] });
});

test('the form leads back to the page, and to no place of others', async () => {
  const signIn = (to: string) =>
    running.api.inject({
      method: 'POST',
      url: '/admin/login',
      headers: { host: HOST, 'content-type': 'application/x-www-form-urlencoded', ...HERE },
      payload: new URLSearchParams({ key: KEY, to }).toString(),
    });
  for (const to of ['/', '/docs', '/preview/mail', '/admin/queues']) expect((await signIn(to)).headers.location).toBe(to);
  for (const to of ['//evil.example', 'https://evil.example', '/\\evil.example', '/v1/templates', ''])
    expect((await signIn(to)).headers.location).toBe('/admin/queues');
  expect((await call('GET', '/admin/login?to=/')).body).toContain('name="to" value="/"');
});
