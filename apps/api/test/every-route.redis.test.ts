import type { Actor } from '@carillon/audit';
import { CarillonError } from '@carillon/contracts';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createApi } from '../src/index.js';
import type { Access, Route } from '../src/policy.js';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';
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
  if (access === 'anybody' || access === 'signature') return {};
  if (access === 'token') return own;
  return access === 'anyKey' || access === 'session' ? AUTHORIZED : keyOf(access);
};
const actorFor: Readonly<Record<Access, Actor>> = {
  send: { type: 'key', name: 'sender' },
  read: { type: 'key', name: 'reader' },
  admin: { type: 'key', name: 'keeper' },
  anyKey: { type: 'key', name: 'tests' },
  token: { type: 'user', name: ANN },
  session: { type: 'admin', name: 'tests' },
  signature: { type: 'system', name: 'pigeon' },
  anybody: { type: 'anybody', name: '' },
};

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
    // The sign-in proves who it is by itself.
    const actor = named(route) === 'POST /admin/login' ? actorFor.session : actorFor[route.access];
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

test('who is refused is on record, and nothing they wrote is', async () => {
  const url = '/v1/users/private%40clinic.example/notifications?cursor=private';
  for (const [proof, outcome, actor] of [
    [{}, 'UNAUTHORIZED', actorFor.anybody],
    [{ authorization: 'Bearer private' }, 'UNAUTHORIZED', actorFor.anybody],
    [own, 'UNAUTHORIZED', actorFor.anybody],
    [keyOf('send'), 'FORBIDDEN', actorFor.send],
  ] as const) {
    running.audited.length = 0;
    const answer = await running.api.inject({ method: 'GET', url, headers: proof });
    expect(answer.statusCode).toBe(outcome === 'FORBIDDEN' ? 403 : 401);
    const about = { route: 'GET /v1/users/:userId/notifications' };
    const users = outcome === 'FORBIDDEN' ? { users: ['private@clinic.example'] } : {};
    expect(running.audited).toEqual([{ actor, action: 'access.refused', outcome, about, ...users, kept: false }]);
  }
});

test('what fails is on record with its code, without ids that may be any text', async () => {
  expect((await running.api.inject({ method: 'GET', url: '/v1/templates/john@clinic.example', headers: AUTHORIZED })).statusCode).toBe(404);
  expect(running.audited).toEqual([
    {
      actor: actorFor.anyKey,
      action: 'template.viewed',
      outcome: 'TEMPLATE_NOT_FOUND',
      about: { route: 'GET /v1/templates/:id' },
      kept: false,
    },
  ]);
});

test('a key opens what its scopes say and nothing else; the answer names what is missing', async () => {
  const scopes = ['send', 'read', 'admin'];
  for (const scope of scopes) {
    const description = await running.api.inject({ method: 'GET', url: '/openapi.json', headers: keyOf(scope) });
    expect(description.json().paths['/v1/audit'].get.description).toBe('Needs an API key with the scope `admin`.');
  }
  const keyed = routes.filter(({ access }) => scopes.includes(access));
  expect(keyed.length).toBeGreaterThan(40);
  for (const route of keyed) {
    const sample = await sampleFor(running, route);
    for (const scope of scopes.filter((other) => other !== route.access)) {
      const answer = await send(route.method, sample, keyOf(scope));
      expect([named(route), scope, answer.statusCode]).toEqual([named(route), scope, 403]);
      if (route.method !== 'HEAD') expect(answer.json()).toMatchObject({ code: 'FORBIDDEN', field: route.access });
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
    if (access === 'token') return [...nothing, stale, AUTHORIZED, ...(url.includes(':deviceId') ? [bob] : [])];
    if (access === 'session')
      return [...nothing, own, bob, keyOf('send'), ...(method === 'GET' || method === 'HEAD' ? [] : [keyOf('read')])];
    const scopes = ['send', 'read', 'admin'].filter((scope) => access !== 'anyKey' && scope !== access);
    return [...nothing, stale, own, bob, ...scopes.map(keyOf)];
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
