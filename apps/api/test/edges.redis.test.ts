import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noLog, openTls } from '@carillon/service';
import { type Certificate, makeCertificate, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Api, createApi } from '../src/index.js';
import { AUTHORIZED, PUBLIC_URL, type RunningApi, startApi } from './running-api.js';

type Options = Parameters<typeof createApi>[1];
type Headers = Record<string, string>;

let running: RunningApi;
const apis: Api[] = [];
beforeAll(async () => {
  running = await startApi();
});
afterAll(async () => {
  await Promise.all(apis.map((api) => api.close()));
  await running.close();
});

function serve(options: Partial<Options> = {}, changes: Partial<RunningApi['parts']> = {}): Api {
  const api = createApi({ ...running.parts, ...changes }, { port: 0, host: '127.0.0.1', ...options });
  apis.push(api);
  return api;
}

/** Guesses a key, from an address and with what proxies say. */
const guess = async (api: Api, remoteAddress: string, forwardedFor?: string) => {
  const headers = { authorization: 'Bearer guess', ...(forwardedFor !== undefined && { 'x-forwarded-for': forwardedFor }) };
  return (await api.inject({ method: 'GET', url: '/v1/templates', headers, remoteAddress })).statusCode;
};
/** Uses up what wrong keys an address may try. */
async function exhaust(api: Api, remoteAddress: string, forwardedFor: (i: number) => string | undefined): Promise<void> {
  for (let i = 0; i < 60; i++) expect(await guess(api, remoteAddress, forwardedFor(i))).toBe(401);
}

test('without trust nobody gets another address by saying so', async () => {
  const api = serve();
  await exhaust(api, '198.51.100.1', (i) => `203.0.113.${i}`);
  expect(await guess(api, '198.51.100.1', '203.0.113.99')).toBe(429);
  expect(await guess(api, '198.51.100.2')).toBe(401);
});

test.each<[string, Options['trustProxy'], string, string]>([
  ['a network', ['10.0.0.0/8'], '10.1.2.3', ''],
  ['a name', ['loopback', 'uniquelocal'], '127.0.0.1', ', 10.9.9.9'],
  ['one hop', 1, '10.1.2.3', ''],
  ['two hops', 2, '10.1.2.3', ', 198.51.100.77'],
])(
  'behind a proxy that is trusted as %s a client counts by its own address, whatever it says before',
  async (_, trustProxy, proxy, passed) => {
    const api = serve({ trustProxy });
    await exhaust(api, proxy, (i) => `203.0.113.${i}, 192.0.2.1${passed}`);
    expect(await guess(api, proxy, `x, 192.0.2.1${passed}`)).toBe(429);
    expect(await guess(api, proxy, `192.0.2.1, 192.0.2.2${passed}`)).toBe(401);
    // Who comes past the proxy is believed by nobody, as long as it is told by its address.
    if (typeof trustProxy === 'number') return;
    await exhaust(api, '198.51.100.1', (i) => `203.0.113.${i}`);
    expect(await guess(api, '198.51.100.1', '203.0.113.99')).toBe(429);
  },
);

test('a trusted proxy tells whether it was reached by https', async () => {
  const publicUrl = 'http://localhost:8080';
  const ask = async (api: Api) =>
    (await api.inject({ method: 'GET', url: '/healthz', headers: { 'x-forwarded-proto': 'https' }, remoteAddress: '10.0.0.1' })).headers;
  expect((await ask(serve({ trustProxy: ['10.0.0.1'] }, { publicUrl })))['strict-transport-security']).toBeDefined();
  for (const trustProxy of [undefined, false, 0, ['10.0.0.2']] as const)
    expect((await ask(serve({ trustProxy }, { publicUrl })))['strict-transport-security']).toBeUndefined();
});

const APP = 'https://app.clinic.example';
const cors = (headers: Record<string, unknown>) => Object.keys(headers).filter((name) => name.startsWith('access-control'));
const preflight = (origin: string, method = 'PATCH'): Headers => ({
  origin,
  'access-control-request-method': method,
  'access-control-request-headers': 'authorization,content-type',
});

test('a page of an allowed origin, or of our own, may call what a client token opens', async () => {
  const api = serve({}, { allowedOrigins: [APP] });
  const url = '/v1/me/preferences';
  running.audited.length = 0;
  for (const origin of [APP, new URL(PUBLIC_URL).origin]) {
    const asked = await api.inject({ method: 'OPTIONS', url, headers: preflight(origin) });
    expect(asked.statusCode).toBe(204);
    expect(asked.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, PUT, PATCH, POST, DELETE',
      'access-control-allow-headers': 'Authorization, Content-Type',
      'access-control-max-age': '7200',
      'x-content-type-options': 'nosniff',
      vary: 'Origin',
    });
    expect(asked.headers).not.toHaveProperty('access-control-allow-credentials');
  }
  expect(running.audited).toEqual([]);
  const { token } = (await running.parts.issueToken?.('ann')) ?? { token: '' };
  const answer = await api.inject({ method: 'GET', url, headers: { origin: APP, authorization: `Bearer ${token}` } });
  expect(answer.statusCode).toBe(200);
  expect(answer.headers['access-control-allow-origin']).toBe(APP);
  expect(answer.headers['access-control-expose-headers']).toBe('RateLimit, RateLimit-Policy, Retry-After, X-Request-Id');
});

test('it can read why it was refused', async () => {
  const api = serve({}, { allowedOrigins: [APP] });
  const answer = await api.inject({ method: 'GET', url: '/v1/me/preferences', headers: { origin: APP, authorization: 'Bearer bad' } });
  expect([answer.statusCode, answer.headers['access-control-allow-origin']]).toEqual([401, APP]);
});

test('no other origin, no other route and nobody where none is allowed', async () => {
  const open = serve({}, { allowedOrigins: [APP] });
  const shut = serve();
  const cases: [Api, string, Headers][] = [
    ...['https://evil.example', `${APP}.evil.example`, 'http://app.clinic.example', `${APP}:8443`, 'null', '*', ''].map(
      (origin): [Api, string, Headers] => [open, '/v1/me/preferences', preflight(origin)],
    ),
    [open, '/v1/notifications', preflight(APP, 'POST')],
    [open, '/metrics', preflight(APP, 'GET')],
    [open, '/v1/mellow', preflight(APP, 'GET')],
    [open, '/admin/login', preflight(APP, 'POST')],
    [open, '/v1/me/preferences', {}],
    [shut, '/v1/me/preferences', preflight(APP)],
  ];
  for (const [api, url, headers] of cases) {
    const answer = await api.inject({ method: 'OPTIONS', url, headers });
    expect([url, headers.origin, answer.statusCode, cors(answer.headers)]).toEqual([url, headers.origin, 404, []]);
    expect(answer.json()).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
  }
  for (const [url, origin] of [
    ['/v1/me/preferences', 'https://evil.example'],
    ['/v1/templates', APP],
  ] as const)
    expect(cors((await open.inject({ method: 'GET', url, headers: { ...AUTHORIZED, origin } })).headers)).toEqual([]);
});

/** Asks over https, trusting this certificate only; one agent keeps one connection. */
function ask(url: string, { cert }: Certificate, agent: Agent): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { agent, ca: cert }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    }).once('error', reject);
  });
}

test('https is served with the certificate of the settings, and with the one that replaces it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-api-tls-'));
  const files = { tlsCert: join(folder, 'tls.crt'), tlsKey: join(folder, 'tls.key') };
  const put = ({ cert, key }: Certificate) => {
    writeFileSync(files.tlsCert, cert);
    writeFileSync(files.tlsKey, key);
  };
  const [first, second] = [makeCertificate(['localhost']), makeCertificate(['localhost'])];
  put(first);
  const tls = openTls(files, noLog);
  const { url } = await serve({ tls }).listen();
  expect(url).toMatch(/^https:\/\/localhost:\d+$/);
  const kept = new Agent({ keepAlive: true, maxSockets: 1 });
  const once = new Agent({ keepAlive: false, maxCachedSessions: 0 });
  expect(await ask(`${url}/healthz`, first, kept)).toBe(200);
  await expect(ask(`${url}/healthz`, second, once)).rejects.toThrow();
  put(second);
  await waitFor(async () => (await ask(`${url}/healthz`, second, once)) === 200, { what: 'the new certificate' });
  await expect(ask(`${url}/healthz`, first, once)).rejects.toThrow();
  expect(await ask(`${url}/healthz`, first, kept)).toBe(200);
  await expect(fetch(`${url.replace('https', 'http')}/healthz`)).rejects.toThrow();
  tls?.close();
  kept.destroy();
  once.destroy();
  rmSync(folder, { recursive: true, force: true });
});
