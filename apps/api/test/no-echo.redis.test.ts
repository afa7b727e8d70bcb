import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Route } from '../src/policy.js';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';
import { ANN, type Sample, sampleFor } from './samples.js';

let running: RunningApi;
let own: Record<string, string>;
beforeAll(async () => {
  running = await startApi();
  await running.parts.templates.register({ id: 'appointment', title: 'Appointment', body: 'With {{therapistName}}', channels: ['in_app'] });
  own = { authorization: `Bearer ${(await running.parts.issueToken?.(ANN))?.token}` };
});
afterAll(() => running.close());

/** Somebody's data, where it does not belong. */
const CANARY = 'canary@clinic.example';
const WRONG = [CANARY, `${CANARY}\u0000`, [CANARY], [[CANARY]], { text: CANARY }, CANARY.repeat(20_000)];
const QUERIES = ['limit', 'cursor', 'offset', 'channel', 'code', 'address', 'action', 'user', 'since', 'until', 'unknown'];

/** A body with one value after the other replaced, at any depth. */
function* spoiled(body: unknown): Generator<unknown> {
  yield* WRONG;
  if (typeof body !== 'object' || body === null) return;
  const parts = Object.entries(body);
  for (const [name, value] of parts) for (const wrong of spoiled(value)) yield Array.isArray(body) ? [wrong] : { ...body, [name]: wrong };
  if (!Array.isArray(body)) yield { ...body, unknown: CANARY };
}

/** A request with one thing after the other that is wrong. */
function* mistakes({ method, url: pattern }: Route, { url, payload }: Sample): Generator<Sample> {
  const [path = ''] = url.split('?');
  const places = pattern.split('/').flatMap((part, at) => (part.startsWith(':') ? [at] : []));
  for (const at of places) {
    for (const value of [CANARY, `${CANARY}\u0000`, CANARY.repeat(20)]) {
      yield { url: path.split('/').with(at, encodeURIComponent(value)).join('/'), ...(payload !== undefined && { payload }) };
    }
  }
  for (const name of QUERIES) yield { url: `${path}?${name}=${encodeURIComponent(CANARY)}`, ...(payload !== undefined && { payload }) };
  if (method === 'GET' || method === 'HEAD') return;
  const headers = { 'content-type': 'application/json' };
  for (const body of spoiled(payload)) yield { url, payload: JSON.stringify(body), headers };
  for (const text of [`{"${CANARY}`, CANARY, `{"a":"${CANARY}"`, `{"__proto__":"${CANARY}"}`]) yield { url, payload: text, headers };
  yield { url, payload: CANARY, headers: { 'content-type': `text/${CANARY.split('@')[0]}` } };
}

test('no refusal repeats what was sent', async () => {
  let refused = 0;
  const repeated = new Set<string>();
  for (const route of (await running.api.routes()).filter(({ url }) => !url.startsWith('/admin/queues/static'))) {
    const proof = route.access === 'token' ? own : AUTHORIZED;
    for (const { url, payload, headers } of mistakes(route, await sampleFor(running, route))) {
      const options = { method: route.method as 'GET', url, headers: { ...headers, ...proof } };
      const answer = await running.api.inject({ ...options, ...(payload !== undefined && { payload }) });
      if (answer.statusCode < 400 && !route.url.endsWith('/bulk')) continue;
      refused++;
      if (answer.body.includes('canary')) repeated.add(`${route.method} ${route.url}: ${answer.body.slice(0, 300)}`);
    }
  }
  expect([...repeated]).toEqual([]);
  expect(refused).toBeGreaterThan(900);
  expect(running.log.filter((line) => line.includes('canary'))).toEqual([]);
});
