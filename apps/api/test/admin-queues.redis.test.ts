import { createApiKeys } from '@carillon/access';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApi } from '../src/index.js';
import { APPOINTMENT, AUTHORIZED, KEY, type RunningApi, request, startApi } from './running-api.js';
import { failedJob } from './samples.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
  await running.parts.templates.register(APPOINTMENT);
  await running.api.inject({
    method: 'POST',
    url: '/v1/notifications',
    headers: AUTHORIZED,
    payload: request({ data: { therapistName: 'canary' } }),
  });
});
afterAll(() => running.close());

const HOST = 'carillon.example:8080';
const BOARD = '/admin/queues';
const QUEUES = `${BOARD}/api/queues`;
type Headers = Record<string, string>;

const call = (method: 'GET' | 'PUT' | 'POST', url: string, headers: Headers = {}) =>
  running.api.inject({ method, url, headers: { host: HOST, ...headers } });
const signIn = (key: string, headers: Headers = {}) =>
  running.api.inject({
    method: 'POST',
    url: '/admin/login',
    payload: new URLSearchParams({ key }).toString(),
    headers: { host: HOST, 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });
const basic = (user: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });

/** Signs in by the form and gives the Cookie header a browser would send from then on. */
async function session(key = KEY): Promise<Headers> {
  const [cookie] = (await signIn(key)).cookies;
  return { cookie: `${cookie?.name}=${encodeURIComponent(cookie?.value ?? '')}` };
}

test('with the key as password of Basic, any user name, the board shows every queue', async () => {
  for (const headers of [basic('anybody', KEY), basic('', KEY), AUTHORIZED]) {
    const page = await call('GET', BOARD, headers);
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.body).toContain(`<base href="${BOARD}/"`);
  }
  const queues = await call('GET', QUEUES, basic('x', KEY));
  const names = queues.json().queues.map(({ name }: { name: string }) => name);
  expect(names).toEqual(running.parts.queues().map(({ name }) => name));
  expect(queues.body).not.toContain('canary');
});

test('the assets of the page are there, with the key', async () => {
  const page = await call('GET', BOARD, basic('x', KEY));
  const scripts = [...page.body.matchAll(/<script defer src="(static[^"]+)"/g)].map(([, path]) => path);
  expect(scripts.length).toBeGreaterThan(0);
  for (const path of scripts) {
    expect((await call('GET', `${BOARD}/${path}`, basic('x', KEY))).headers['content-type']).toContain('javascript');
    expect((await call('GET', `${BOARD}/${path}`)).statusCode).toBe(401);
  }
});

test('without a key a browser is sent to the form, everything else is refused', async () => {
  const browser = await call('GET', BOARD, { accept: 'text/html,*/*', 'sec-fetch-mode': 'navigate' });
  expect(browser.statusCode).toBe(303);
  expect(browser.headers.location).toBe('/admin/login');
  const tool = await call('GET', QUEUES);
  expect(tool.statusCode).toBe(401);
  expect(tool.headers['www-authenticate']).toMatch(/^Basic /);
  expect(tool.headers['content-type']).toContain('application/problem+json');
  expect(tool.json()).toMatchObject({ code: 'UNAUTHORIZED' });
  const background = await call('GET', QUEUES, { accept: 'application/json', 'sec-fetch-mode': 'cors' });
  expect(background.statusCode).toBe(401);
  expect(background.headers['www-authenticate']).toBe('Bearer');
  for (const headers of [basic(KEY, 'wrong'), basic(KEY, ''), { authorization: 'Bearer wrong' }, { authorization: 'Basic !!' }]) {
    expect((await call('GET', QUEUES, headers)).statusCode).toBe(401);
  }
});

test('the form opens a session by a cookie that scripts and other sites cannot use', async () => {
  const form = await call('GET', '/admin/login');
  expect(form.statusCode).toBe(200);
  expect(form.body).toContain('<form method="post" action="/admin/login">');
  const answer = await signIn(KEY, { origin: `http://${HOST}` });
  expect(answer.statusCode).toBe(303);
  expect(answer.headers.location).toBe(BOARD);
  expect(answer.cookies).toEqual([
    { name: 'carillon_session', value: expect.any(String), httpOnly: true, sameSite: 'Strict', path: '/', maxAge: 8 * 3600 },
  ]);
  expect(answer.cookies[0]?.value).not.toContain(KEY);
  const cookie = await session();
  expect((await call('GET', BOARD, { ...cookie, accept: 'text/html' })).statusCode).toBe(200);
  expect((await call('GET', QUEUES, cookie)).statusCode).toBe(200);
});

test('a wrong key, or a form of another site, opens none', async () => {
  for (const answer of [await signIn('wrong'), await signIn(''), await signIn(KEY, { origin: 'https://evil.example' })]) {
    expect(answer.statusCode).toBe(401);
    expect(answer.cookies).toEqual([]);
    expect(answer.body).toContain('role="alert"');
  }
  expect(await running.metrics.render()).toMatch(/^carillon_authentication_failures_total\{where="admin",code="UNAUTHORIZED"\} [3-9]/m);
});

test('a session that was altered, is over, or whose key is gone is none', async () => {
  const { cookie = '' } = await session();
  const altered = `${cookie.slice(0, 40)}${cookie[40] === 'A' ? 'B' : 'A'}${cookie.slice(41)}`;
  expect((await call('GET', QUEUES, { cookie: altered })).statusCode).toBe(401);
  const key = running.parts.apiKeys.find(KEY);
  const sealed = (changes: object) =>
    running.parts.vault.seal('session', 'admin', JSON.stringify({ ...key, expiresAt: Date.now() + 1000, ...changes }));
  expect((await call('GET', QUEUES, { cookie: `carillon_session=${encodeURIComponent(sealed({}))}` })).statusCode).toBe(200);
  const another = sealed({ name: 'other' });
  expect((await call('GET', QUEUES, { cookie: `carillon_session=${encodeURIComponent(another)}` })).statusCode).toBe(401);
  const over = sealed({ expiresAt: Date.now() - 1 });
  expect((await call('GET', QUEUES, { cookie: `carillon_session=${encodeURIComponent(over)}` })).statusCode).toBe(401);

  const without = createApi({ ...running.parts, apiKeys: createApiKeys('tests:another-key') }, { port: 0 });
  expect((await without.inject({ method: 'GET', url: QUEUES, headers: { cookie } })).statusCode).toBe(401);
  await without.close();
});

test('with a session, only the board itself may change something', async () => {
  const cookie = await session();
  const pause = `${QUEUES}/render-0/pause`;
  for (const headers of [{}, { origin: 'https://evil.example' }, { origin: 'null' }] as Headers[]) {
    expect((await call('PUT', pause, { ...cookie, ...headers })).statusCode).toBe(401);
  }
  const isPaused = async () =>
    running.parts
      .queues()
      .find(({ name }) => name === 'render-0')
      ?.isPaused();
  expect(await isPaused()).toBe(false);
  const answer = await call('PUT', pause, { ...cookie, origin: `https://${HOST}` });
  expect(answer.statusCode).toBeLessThan(300);
  expect(await isPaused()).toBe(true);
  await call('PUT', `${QUEUES}/render-0/resume`, { ...cookie, origin: `https://${HOST}` });
  expect(await isPaused()).toBe(false);
});

test('no page may frame it, and nothing is loaded from elsewhere', async () => {
  for (const answer of [await call('GET', BOARD, basic('x', KEY)), await call('GET', '/admin/login'), await call('GET', QUEUES)]) {
    expect(answer.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    expect(answer.headers['content-security-policy']).toContain("default-src 'self'");
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  }
});

test('a fault in the board is a problem that tells nothing', async () => {
  const answer = await call('GET', `${QUEUES}/nothing/1`, basic('x', KEY));
  expect(answer.statusCode).toBe(404);
});

test('the cookie names the key and is not the key; it goes over https only where the page came so', async () => {
  const [cookie] = (await signIn(KEY, { origin: `https://${HOST}` })).cookies;
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', secure: true });
  const held = running.parts.vault.open('session', 'admin', cookie?.value ?? '');
  expect(JSON.parse(held)).toEqual({ name: 'tests', digest: expect.any(String), expiresAt: expect.any(Number) });
  expect(held).not.toContain(KEY);
});

test('who signs out has no session, and no other site can sign anybody out', async () => {
  const page = await call('GET', '/admin/logout');
  expect(page.body).toContain('<form method="post" action="/admin/logout">');
  expect((await call('POST', '/admin/logout', { origin: 'https://evil.example' })).statusCode).toBe(401);
  const signedIn = await session();
  expect((await call('GET', BOARD, signedIn)).statusCode).toBe(200);
  const answer = await call('POST', '/admin/logout', { ...signedIn, origin: `http://${HOST}` });
  expect(answer.statusCode).toBe(303);
  // A copy of the cookie is of no use either, and other sessions go on.
  expect((await call('GET', BOARD, signedIn)).statusCode).toBe(401);
  expect((await call('GET', BOARD, await session())).statusCode).toBe(200);
  expect(answer.cookies).toEqual([expect.objectContaining({ name: 'carillon_session', value: '', expires: new Date(0) })]);
  expect((await call('GET', BOARD, AUTHORIZED)).body).toContain('/admin/logout');
});

test('a key that may only send sees neither queues nor previews, by whichever way', async () => {
  const form = await signIn('send-key', { origin: `http://${HOST}` });
  expect(form.statusCode).toBe(403);
  expect(form.cookies).toEqual([]);
  expect(form.body).toContain('This key may not look at queues.');
  for (const url of [BOARD, QUEUES, '/preview/mail']) {
    const answer = await call('GET', url, basic('x', 'send-key'));
    expect(answer.statusCode).toBe(403);
    expect(answer.json()).toMatchObject({ code: 'FORBIDDEN', field: 'read' });
  }
});

test('a viewer may look and not act, whatever the page shows; the page shows queues that can only be looked at', async () => {
  const viewer = await session('read-key');
  const routes = (await running.api.routes()).filter(({ url, method }) => url.startsWith(BOARD) && method !== 'GET' && method !== 'HEAD');
  expect(routes).toHaveLength(10);
  for (const { method, url } of routes) {
    const path = url.replace(':queueName', 'sms-0').replace(':jobId', '1').replace(':queueStatus', 'failed');
    const answer = await call(method as 'PUT', path, { ...viewer, origin: `http://${HOST}` });
    expect([method, url, answer.statusCode]).toEqual([method, url, 403]);
    expect(answer.json()).toMatchObject({ code: 'FORBIDDEN', field: 'admin' });
  }
  const { queues } = (await call('GET', QUEUES, viewer)).json();
  expect(queues).toHaveLength(running.parts.queues().length);
  for (const queue of queues) expect(queue).toMatchObject({ readOnlyMode: true, allowRetries: false, allowCompletedRetries: false });
  for (const queue of (await call('GET', QUEUES, await session('admin-key'))).json().queues) {
    expect(queue).toMatchObject({ readOnlyMode: false, allowRetries: true });
  }
});

test('a session may what its key may now', async () => {
  const { cookie = '' } = await session();
  const less = createApi({ ...running.parts, apiKeys: createApiKeys(`tests[read]:${KEY}`) }, { port: 0 });
  const headers = { cookie, host: HOST, origin: `http://${HOST}` };
  expect((await less.inject({ method: 'GET', url: QUEUES, headers })).statusCode).toBe(200);
  expect((await less.inject({ method: 'PUT', url: `${QUEUES}/pause`, headers })).statusCode).toBe(403);
  await less.close();
});

test('what is looked at and done at the board is on record, by queue and job', async () => {
  const path = await failedJob(running);
  const id = path.split('/').at(-1);
  const act = { ...(await session()), origin: `http://${HOST}` };
  running.audited.length = 0;
  expect((await call('GET', `${QUEUES}?activeQueue=sms-0&status=failed`, act)).statusCode).toBe(200);
  expect((await call('GET', path, act)).statusCode).toBe(200);
  expect((await call('PUT', `${path}/clean`, act)).statusCode).toBe(204);
  expect((await call('GET', path, act)).statusCode).toBe(404);
  const actor = { type: 'admin', name: 'tests' };
  const api = `${BOARD}/api/queues`;
  expect(running.audited).toEqual([
    { actor, action: 'queues.viewed', outcome: 'ok', about: { route: `GET ${api}`, queue: 'sms-0' }, kept: true },
    {
      actor,
      action: 'queues.viewed',
      outcome: 'ok',
      about: { route: `GET ${api}/:queueName/:jobId`, queue: 'sms-0' },
      ids: [id],
      kept: true,
    },
    {
      actor,
      action: 'queues.changed',
      outcome: 'ok',
      about: { route: `PUT ${api}/:queueName/:jobId/clean`, queue: 'sms-0' },
      ids: [id],
      kept: false,
    },
    {
      actor,
      action: 'queues.viewed',
      outcome: 'ROUTE_NOT_FOUND',
      about: { route: `GET ${api}/:queueName/:jobId`, queue: 'sms-0' },
      kept: false,
    },
  ]);
});
