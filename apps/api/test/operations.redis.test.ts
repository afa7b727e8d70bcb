import { connect } from 'node:net';
import { CarillonError } from '@carillon/contracts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApi } from '../src/index.js';
import { problemSchema } from '../src/schemas.js';
import { APPOINTMENT, AUTHORIZED, type RunningApi, request, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
  await running.parts.templates.register(APPOINTMENT);
});
afterAll(() => running.close());

type Method = 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE';
const call = (method: Method, url: string, headers: Record<string, string> = {}) => running.api.inject({ method, url, headers });

/** What a server says to `text` before it hangs up. */
async function sayTo(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').end(text);
  let answer = '';
  for await (const part of socket) answer += part;
  return answer;
}

/** The operations of /openapi.json as method, path and whether they need a key. */
async function operations(): Promise<{ method: Method; path: string; open: boolean; own: boolean }[]> {
  const { paths } = (await call('GET', '/openapi.json', AUTHORIZED)).json() as {
    paths: Record<string, Record<string, { security?: unknown[] }>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]) => ({
      method: method.toUpperCase() as Method,
      path,
      open: security?.length === 0,
      own: JSON.stringify(security) === '[{"clientToken":[]}]',
    })),
  );
}

test('/openapi.json lists every route of this issue with its shapes', async () => {
  const description = (await call('GET', '/openapi.json', AUTHORIZED)).json();
  expect(description.openapi).toBe('3.1.0');
  expect((await operations()).map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
    [
      'GET /',
      'GET /healthz',
      'GET /readyz',
      'GET /metrics',
      'GET /openapi.json',
      'POST /v1/notifications',
      'POST /v1/notifications/bulk',
      'GET /v1/notifications/{id}',
      'DELETE /v1/notifications/{id}',
      'POST /v1/notifications/cancel',
      'PUT /v1/templates/{id}',
      'GET /v1/templates/{id}',
      'DELETE /v1/templates/{id}',
      'GET /v1/templates',
      'POST /v1/templates/{id}/preview',
      'PUT /v1/partials/{id}',
      'GET /v1/partials/{id}',
      'DELETE /v1/partials/{id}',
      'GET /v1/partials',
      'POST /v1/tokens',
      'GET /v1/users/{userId}/notifications',
      'GET /v1/users/{userId}/unread-count',
      'POST /v1/users/{userId}/notifications/{id}/read',
      'POST /v1/users/{userId}/notifications/read-all',
      'GET /v1/users/{userId}',
      'PUT /v1/users/{userId}',
      'PATCH /v1/users/{userId}',
      ...['/v1/users/{userId}', '/v1/me'].flatMap((whose) => [
        `GET ${whose}/preferences`,
        `PUT ${whose}/preferences`,
        `GET ${whose}/devices`,
        `POST ${whose}/devices`,
        `DELETE ${whose}/devices/{deviceId}`,
      ]),
      'GET /v1/users/{userId}/suppressions/{channel}',
      'DELETE /v1/users/{userId}/suppressions/{channel}',
      'GET /v1/failed',
      'POST /v1/failed/retry',
      'POST /v1/users/{userId}/revoke-tokens',
      'DELETE /v1/users/{userId}',
      'GET /v1/users/{userId}/export',
      'GET /v1/erasures/{id}',
      'GET /v1/users/{userId}/deliveries',
      'GET /v1/me/notifications',
      'GET /v1/me/unread-count',
      'POST /v1/me/notifications/read-all',
      ...['/v1/users/{userId}', '/v1/me'].flatMap((whose) => [
        `PATCH ${whose}/notifications/{id}`,
        `DELETE ${whose}/notifications/{id}`,
        `POST ${whose}/read-all`,
      ]),
      'GET /v1/audit',
      'POST /v1/providers/{provider}/events',
      'GET /unsubscribe/{token}',
      'POST /unsubscribe/{token}',
    ].sort(),
  );
  expect(description.components.securitySchemes.apiKey).toMatchObject({ type: 'http', scheme: 'bearer' });
  const { requestBody, responses } = description.paths['/v1/notifications'].post;
  const body = requestBody.content['application/json'].schema;
  expect(body.required).toEqual(['userId', 'templateId', 'data']);
  expect(body.properties.data).toMatchObject({ type: 'object' });
  expect(body.properties.priority.enum).toEqual(['low', 'normal', 'high', 'urgent']);
  expect(responses.default.content['application/problem+json'].schema.required).toContain('code');
});

test('all but the page, alive, ready, links and webhooks need a key, and one’s own need a token', async () => {
  const all = await operations();
  expect(
    all
      .filter(({ open }) => open)
      .map(({ path }) => path)
      .sort(),
  ).toEqual(['/', '/healthz', '/readyz', '/unsubscribe/{token}', '/unsubscribe/{token}', '/v1/providers/{provider}/events']);
  expect(all.filter(({ own }) => own).map(({ path }) => path)).toEqual(
    all.map(({ path }) => path).filter((path) => path.startsWith('/v1/me/')),
  );
  for (const { method, path, open, own } of all) {
    for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: 'Basic dGVzdC1rZXk=' }, { authorization: 'Bearer' }]) {
      const answer = await call(method, path.replaceAll(/[{}]/g, ''), headers as Record<string, string>);
      if (open) {
        // Links and providers that do not exist.
        expect(answer.statusCode).toBe(path.includes('{') ? 404 : 200);
        continue;
      }
      expect([method, path, answer.statusCode]).toEqual([method, path, 401]);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(problemSchema.strict().parse(answer.json())).toMatchObject({ code: own ? 'TOKEN_INVALID' : 'UNAUTHORIZED', status: 401 });
    }
  }
});

test('what is not there is a problem too', async () => {
  for (const [method, url] of [
    ['GET', '/nothing'],
    ['DELETE', '/v1/notifications'],
    ['GET', '/v2/notifications'],
  ] as const) {
    const answer = await call(method, url, AUTHORIZED);
    expect(answer.statusCode).toBe(404);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(problemSchema.strict().parse(answer.json())).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
  }
});

test('a request id is echoed if it is fit for it, else made', async () => {
  expect((await call('GET', '/healthz', { 'x-request-id': 'trace-1' })).headers['x-request-id']).toBe('trace-1');
  expect((await call('GET', '/healthz', { 'x-request-id': 'a b<script>' })).headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  expect((await call('GET', '/nothing')).headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
});

test('metrics show queue lengths and callers turned away', async () => {
  await running.api.inject({ method: 'POST', url: '/v1/notifications', headers: AUTHORIZED, payload: request() });
  await call('GET', '/metrics');
  const answer = await call('GET', '/metrics', AUTHORIZED);
  expect(answer.headers['content-type']).toContain('text/plain');
  expect(answer.body).toMatch(/^carillon_queue_length\{queue="render-0",state="(prioritized|wait)"\} [1-9]/m);
  expect(answer.body).toMatch(/^carillon_authentication_failures_total\{where="http",code="UNAUTHORIZED"\} [1-9]/m);
});

test('it listens on a free port, and two cannot have the same', async () => {
  const { port, url } = await running.api.listen();
  expect(url).toBe(`http://localhost:${port}`);
  const home = await fetch(`http://127.0.0.1:${port}/`);
  expect(home.status).toBe(200);
  expect(await home.text()).toContain('/admin/queues');
  expect(await sayTo(port, 'no HTTP\r\n\r\n')).toMatch(/^HTTP\/1.1 400 .*application\/problem\+json.*"code":"FIELD_INVALID"/s);
  expect(await sayTo(port, `GET / HTTP/1.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 .*application\/problem\+json/s);
  const second = createApi(running.parts, { port, host: '127.0.0.1' });
  await expect(second.listen()).rejects.toMatchObject({ code: 'CONFIGURATION_INVALID' });
  expect(second.close()).toBe(second.close());
  await second.close();
});

test('a fault of ours is logged with its stack and tells nothing', async () => {
  const broken = createApi(
    { ...running.parts, deliveries: { ...running.parts.deliveries, get: () => Promise.reject(new TypeError('canary')) } },
    { port: 0 },
  );
  const url = '/v1/notifications/018f0000-0000-7000-8000-000000000000';
  const answer = await broken.inject({ method: 'GET', url, headers: AUTHORIZED });
  expect(answer.statusCode).toBe(500);
  expect(problemSchema.strict().parse(answer.json())).toMatchObject({ code: 'INTERNAL' });
  expect(answer.body).not.toContain('canary');
  const logged = running.log.map((line) => JSON.parse(line)).find(({ requestId }) => requestId === answer.headers['x-request-id']);
  expect(logged).toMatchObject({
    level: 'error',
    route: '/v1/notifications/:id',
    error: { name: 'TypeError', stack: expect.stringContaining('at ') },
  });
  await broken.close();
});

test('what may succeed later says when, and whether this process is ready', async () => {
  const full = createApi(
    {
      ...running.parts,
      producer: {
        as: () => ({
          queueNotification: () => Promise.reject(new CarillonError('QUEUE_FULL', { retryAfter: 1500 })),
          queueNotifications: async () => [],
          cancel: async () => ({ canceled: [], alreadySent: [] }),
        }),
      },
      ready: async () => false,
    },
    { port: 0 },
  );
  const answer = await full.inject({ method: 'POST', url: '/v1/notifications', headers: AUTHORIZED, payload: request() });
  expect(answer.statusCode).toBe(503);
  expect(answer.headers['retry-after']).toBe('2');
  expect(answer.json()).toMatchObject({ code: 'QUEUE_FULL' });
  expect((await full.inject({ method: 'GET', url: '/readyz' })).statusCode).toBe(503);
  await full.close();
});

test('without a secret there are no tokens', async () => {
  const bare = createApi({ ...running.parts, issueToken: undefined }, { port: 0 });
  const answer = await bare.inject({ method: 'POST', url: '/v1/tokens', headers: AUTHORIZED, payload: { userId: 'u' } });
  expect(answer.statusCode).toBe(501);
  expect(answer.json()).toMatchObject({ code: 'TOKENS_NOT_CONFIGURED' });
  await bare.close();
});
