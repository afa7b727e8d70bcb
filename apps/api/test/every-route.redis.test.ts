import type { Actor } from '@carillon/audit';
import { CarillonError } from '@carillon/contracts';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createApi } from '../src/index.js';
import { type Access, type Route, scopesFor } from '../src/policy.js';
import { AUTHORIZED, listen, type RunningApi, startApi } from './running-api.js';
import { ANN, type Sample, SECRET, sampleFor } from './samples.js';

type Headers = Record<string, string>;

let running: RunningApi;
let routes: readonly Route[];
let own: Headers;
beforeAll(async () => {
  running = await startApi();
  routes = await running.api.routes();
  await running.parts.templates.register({ id: 'appointment', title: 'Appointment', body: 'With {{therapistName}}', channels: ['in_app'] });
  await running.directory.setProfile(ANN, { email: `${SECRET}@clinic.example` });
  own = { authorization: `Bearer ${(await running.parts.issueToken?.(ANN))?.token}` };
});
afterAll(() => running.close());
beforeEach(() => {
  running.audited.length = 0;
});

const keyOf = (scope: string): Headers => ({
  authorization: `Bearer ${{ send: 'send-key', read: 'read-key', admin: 'admin-key' }[scope]}`,
});
/** What opens a route that asks for this. */
const proofFor = (access: Access): Headers => {
  if (typeof access === 'object') return AUTHORIZED;
  if (access === 'anybody' || access === 'signature') return {};
  if (access === 'token') return own;
  return access === 'anyKey' || access === 'session' ? AUTHORIZED : keyOf(access);
};
const actors = {
  send: { type: 'key', name: 'sender' },
  read: { type: 'key', name: 'reader' },
  admin: { type: 'key', name: 'keeper' },
  anyKey: { type: 'key', name: 'tests' },
  token: { type: 'user', name: ANN },
  session: { type: 'admin', name: 'tests' },
  signature: { type: 'system', name: 'pigeon' },
  anybody: { type: 'anybody', name: '' },
} as const satisfies Record<string, Actor>;
const actorFor = (access: Access): Actor => (typeof access === 'object' ? actors.anyKey : actors[access]);

function send(method: string, { url, payload, headers }: Sample, proof: Headers, remoteAddress = '127.0.0.1') {
  const options = { method: method as 'GET', url, remoteAddress, headers: { ...headers, ...proof } };
  return running.api.inject({ ...options, ...(payload !== undefined && { payload }) });
}
const named = ({ method, url }: Route) => `${method} ${url}`;
const isStatic = ({ url }: Route) => url.startsWith('/admin/queues/static');

test('every route that is used well has its record, with who it was; what shows something waits for it', async () => {
  const seen = [];
  for (const route of routes.filter((one) => !isStatic(one))) {
    const sample = await sampleFor(running, route);
    running.audited.length = 0;
    const answer = await send(route.method, sample, proofFor(route.access));
    const sent = [named(route), answer.statusCode < 400 || answer.body];
    expect(sent).toEqual([named(route), true]);
    seen.push(route.url);
    if (route.action === 'none') {
      expect([named(route), running.audited]).toEqual([named(route), []]);
      continue;
    }
    // A sign-in proves who it is by itself.
    const actor = route.action === 'session.opened' ? actors.session : actorFor(route.access);
    expect([named(route), running.audited]).toEqual([
      named(route),
      [expect.objectContaining({ action: route.action, actor, kept: expect.any(Boolean) })],
    ]);
    const [record] = running.audited;
    expect(record?.outcome ?? 'ok').toBe('ok');
    if (!route.auditedBelow) expect(`${record?.about?.route}`.replace(/\/$/, '')).toBe(named(route).replace(/\/$/, ''));
    if (route.shows) expect([named(route), record?.kept]).toEqual([named(route), true]);
    if (/\.viewed$/.test(route.action) && !/^(template|operations)/.test(route.action))
      expect([named(route), record?.kept]).toEqual([named(route), true]);
    if (route.url.startsWith('/preview/mail/:id')) expect(record?.users).toContain('ann');
    if (sample.url.includes(encodeURIComponent(ANN)) || route.access === 'token') expect(record?.users).toEqual([ANN]);
    expect(JSON.stringify(record)).not.toMatch(/clinic\.example|secretofann|%7C|address=/);
  }
  expect(seen).toContain('/admin/queues/api/queues/:queueName/:jobId');
});

test('a record that cannot be kept leaves what it would tell of unseen', async () => {
  const failing = { note() {}, keep: () => Promise.reject(new CarillonError('AUDIT_UNAVAILABLE')) };
  const api = createApi({ ...running.parts, audit: failing }, { port: 0 });
  let shown = 0;
  for (const route of routes.filter(
    ({ action, auditedBelow }) => !auditedBelow && /^(inbox|notification|person|preview|queues|audit)\.viewed$/.test(action),
  )) {
    const { url, headers } = await sampleFor(running, route);
    const answer = await api.inject({ method: route.method as 'GET', url, headers: { ...headers, ...proofFor(route.access) } });
    expect([named(route), answer.statusCode]).toEqual([named(route), 503]);
    if (route.method !== 'HEAD') expect(answer.json()).toMatchObject({ code: 'AUDIT_UNAVAILABLE', status: 503 });
    expect(answer.body).not.toMatch(/secretofann|therapist|render-0/);
    shown++;
  }
  expect(shown).toBeGreaterThan(20);
  await api.close();
});

test('strangers who are refused are counted, and nothing they wrote is on record', async () => {
  const trail = listen();
  const api = createApi({ ...running.parts, audit: trail }, { port: 0 });
  const url = '/v1/users/private%40clinic.example/notifications?cursor=private';
  for (const proof of [{}, { authorization: 'Bearer private' }, own])
    expect((await api.inject({ method: 'GET', url, headers: proof })).statusCode).toBe(401);
  let refused = 3;
  for (const route of routes.filter(({ action, access }) => action !== 'none' && access !== 'anybody' && access !== 'signature')) {
    const { url, payload } = await sampleFor(running, route);
    const answer = await api.inject({ method: route.method as 'GET', url, ...(payload !== undefined && { payload }) });
    expect([named(route), answer.statusCode]).toEqual([named(route), 401]);
    refused++;
  }
  for (const form of ['/admin/login', '/admin/logout', '/admin/login?to=private'])
    expect((await api.inject({ method: 'GET', url: form })).statusCode).toBe(200);
  expect(trail.audited).toEqual([]);
  await api.close();
  const count = (outcome: string) => trail.audited.find((event) => event.outcome === outcome)?.about?.count as number;
  const record = (outcome: string) => ({
    actor: actors.anybody,
    action: 'access.refused',
    outcome,
    about: { count: expect.any(Number) },
    kept: false,
  });
  expect(trail.audited).toEqual([record('UNAUTHORIZED'), record('TOKEN_INVALID')]);
  expect(count('UNAUTHORIZED') + count('TOKEN_INVALID')).toBe(refused);
});

test('who is known and refused is on record by the route', async () => {
  const url = '/v1/users/private%40clinic.example/notifications?cursor=private';
  expect((await running.api.inject({ method: 'GET', url, headers: keyOf('send') })).statusCode).toBe(403);
  const about = { route: 'GET /v1/users/:userId/notifications' };
  const users = ['private@clinic.example'];
  expect(running.audited).toEqual([{ actor: actors.send, action: 'access.refused', outcome: 'FORBIDDEN', about, users, kept: false }]);
});

test('what fails is on record with its code, without ids that may be any text', async () => {
  expect((await running.api.inject({ method: 'GET', url: '/v1/templates/john@clinic.example', headers: AUTHORIZED })).statusCode).toBe(404);
  expect(running.audited).toEqual([
    {
      actor: actors.anyKey,
      action: 'template.viewed',
      outcome: 'TEMPLATE_NOT_FOUND',
      about: { route: 'GET /v1/templates/:id' },
      kept: false,
    },
  ]);
});

test('a key opens what its scopes say and nothing else; the answer names what is missing', async () => {
  const scopes = ['send', 'read', 'admin'] as const;
  for (const scope of scopes) {
    const description = await running.api.inject({ method: 'GET', url: '/openapi.json', headers: keyOf(scope) });
    const { paths } = description.json();
    expect(paths['/v1/audit'].get.description).toBe('Needs an API key with the scope `admin`.');
    expect(paths['/v1/tokens'].post.description).toBe('Needs an API key with the scopes `send` and `read`.');
  }
  const keyed = routes.filter(({ access }) => scopesFor(access).length > 0);
  expect(keyed.length).toBeGreaterThan(40);
  for (const route of keyed) {
    const sample = await sampleFor(running, route);
    for (const scope of scopes) {
      const [missing] = scopesFor(route.access).filter((needed) => needed !== scope);
      if (missing === undefined) continue;
      running.audited.length = 0;
      const answer = await send(route.method, sample, keyOf(scope));
      expect([named(route), scope, answer.statusCode]).toEqual([named(route), scope, 403]);
      if (route.method !== 'HEAD') expect(answer.json()).toMatchObject({ code: 'FORBIDDEN', field: missing });
      const refused = { actor: actors[scope], action: 'access.refused', outcome: 'FORBIDDEN' };
      if (route.action !== 'none') expect([named(route), running.audited]).toEqual([named(route), [expect.objectContaining(refused)]]);
    }
  }
});

/** Mulberry32: the same thousand requests in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test('a token is issued to a key that may both send and read: a token does both', async () => {
  const ask = (key: string) =>
    running.api.inject({ method: 'POST', url: '/v1/tokens', headers: { authorization: `Bearer ${key}` }, payload: { userId: ANN } });
  for (const [key, field] of [
    ['read-key', 'send'],
    ['send-key', 'read'],
    ['admin-key', 'send'],
  ] as const) {
    const answer = await ask(key);
    expect([key, answer.statusCode]).toEqual([key, 403]);
    expect(answer.json()).toMatchObject({ code: 'FORBIDDEN', field });
  }
  expect((await ask('test-key')).statusCode).toBe(200);
});

test('of a thousand requests with another user’s token or without the scope none succeeds', async () => {
  const random = seeded(4);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const token = async (userId: string, ttl?: number) => ({
    authorization: `Bearer ${(await running.parts.issueToken?.(userId, ttl))?.token}`,
  });
  await running.parts.revocations.revoke('gone');
  const bob = await token('bob');
  const stale = await token('gone');
  await running.parts.revocations.revoke('gone');
  const [head, , signature] = (own.authorization ?? '').split('.');
  const forged = { authorization: `${head}.${Buffer.from(JSON.stringify({ sub: ANN, exp: 4e9 })).toString('base64url')}.${signature}` };
  const nothing = [
    {},
    forged,
    { authorization: 'Bearer guess' },
    { authorization: 'Basic dDpndWVzcw==' },
    { cookie: 'carillon_session=x' },
  ];
  const wrongFor = ({ access, method, url }: Route): readonly Headers[] => {
    if (access === 'token') return [...nothing, stale, AUTHORIZED, ...(url.includes('/:') ? [bob] : [])];
    if (access === 'session')
      return [...nothing, own, bob, keyOf('send'), ...(method === 'GET' || method === 'HEAD' ? [] : [keyOf('read')])];
    const lacking = ['send', 'read', 'admin'].filter((scope) => scopesFor(access).some((needed) => needed !== scope));
    return [...nothing, stale, own, bob, ...lacking.map(keyOf)];
  };
  const guarded = routes.filter(({ access }) => access !== 'anybody' && access !== 'signature');
  const successes: unknown[] = [];
  const profile = await running.directory.profile(ANN);
  for (let i = 0; i < 1000; i++) {
    const route = pick(guarded);
    const sample = isStatic(route) ? { url: '/admin/queues/static/images/logo.svg' } : await sampleFor(running, route);
    const proof = pick(wrongFor(route));
    const answer = await send(route.method, sample, proof, `10.0.${i >> 8}.${i & 255}`);
    const refused = [401, 403].includes(answer.statusCode) || (proof === bob && answer.statusCode === 404);
    if (!refused || answer.body.includes(SECRET)) successes.push([named(route), proof, answer.statusCode]);
  }
  expect(successes).toEqual([]);
  expect(await running.directory.profile(ANN)).toEqual(profile);
});
