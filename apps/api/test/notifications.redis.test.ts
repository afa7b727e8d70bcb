import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { canceledSchema } from '../src/notifications.js';
import { bulkAnswerSchema, recordSchema } from '../src/schemas.js';
import { APPOINTMENT, AUTHORIZED, type RunningApi, request, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
  await running.parts.templates.register(APPOINTMENT);
});
afterAll(() => running.close());

const post = (url: string, payload: unknown, headers: Record<string, string> = {}) =>
  running.api.inject({
    method: 'POST',
    url,
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    headers: { 'content-type': 'application/json', ...AUTHORIZED, ...headers },
  });
const get = (url: string) => running.api.inject({ method: 'GET', url, headers: AUTHORIZED });

test('a notification is accepted and has a status from that moment on', async () => {
  const accepted = await post('/v1/notifications', request());
  expect(accepted.statusCode).toBe(202);
  expect(Object.keys(accepted.json())).toEqual(['id']);
  const { id } = accepted.json();
  const status = await get(`/v1/notifications/${id}`);
  expect(status.statusCode).toBe(200);
  expect(recordSchema.strict().parse(status.json())).toMatchObject({
    id,
    userId: 'u1',
    templateId: 'appointment',
    status: 'pending',
    deliveries: [{ channel: 'in_app', status: 'pending', attempts: 0 }],
  });
});

test.each([
  ['no such user id', { userId: '' }, 400, 'FIELD_INVALID', 'userId'],
  ['an unknown field', { usrId: 'u1' }, 400, 'FIELD_INVALID', 'usrId'],
  ['a channel that does not exist', { channels: ['pigeon'] }, 400, 'FIELD_INVALID', 'channels.0'],
  ['no such template', { templateId: 'nothing' }, 404, 'TEMPLATE_NOT_FOUND', undefined],
  ['data that lacks a tag', { data: {} }, 400, 'TEMPLATE_DATA_MISSING', 'data.therapistName'],
])('%s is refused with its code and field', async (_what, changes, status, code, field) => {
  const answer = await post('/v1/notifications', request(changes));
  expect(answer.statusCode).toBe(status);
  expect(answer.headers['content-type']).toContain('application/problem+json');
  expect(answer.json()).toMatchObject({ code, status, type: expect.any(String), title: expect.any(String), detail: expect.any(String) });
  if (field !== undefined) expect(answer.json().field).toBe(field);
});

test.each([
  ['malformed JSON', '{"userId": "canary', 'application/json', 400, 'FIELD_INVALID'],
  ['a body that is no object', '[]', 'application/json', 400, 'FIELD_INVALID'],
  ['null', 'null', 'application/json', 400, 'FIELD_INVALID'],
  ['no body', '', 'application/json', 400, 'FIELD_INVALID'],
  ['a prototype in JSON', '{"__proto__": {}}', 'application/json', 400, 'FIELD_INVALID'],
  ['another content type', 'userId=u1', 'application/x-www-form-urlencoded', 415, 'UNSUPPORTED_MEDIA_TYPE'],
  [
    'a body too large',
    JSON.stringify(request({ data: { therapistName: 'x'.repeat(70_000) } })),
    'application/json',
    413,
    'PAYLOAD_TOO_LARGE',
  ],
])('%s is refused as a problem', async (_what, body, type, status, code) => {
  const answer = await post('/v1/notifications', body, { 'content-type': type });
  expect(answer.statusCode).toBe(status);
  expect(answer.headers['content-type']).toContain('application/problem+json');
  expect(answer.json()).toMatchObject({ code, status });
  expect(answer.body).not.toContain('canary');
});

test('the Idempotency-Key header is the field: the same request again gives the same id, another one is a mismatch', async () => {
  const key = { 'idempotency-key': 'order-1' };
  const first = await post('/v1/notifications', request(), key);
  const again = await post('/v1/notifications', request({ idempotencyKey: 'order-1' }));
  expect(again.statusCode).toBe(202);
  expect(again.json()).toEqual(first.json());
  const other = await post('/v1/notifications', request({ userId: 'u2' }), key);
  expect(other.statusCode).toBe(422);
  expect(other.json()).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' });
  const differing = await post('/v1/notifications', request({ idempotencyKey: 'order-2' }), key);
  expect(differing.statusCode).toBe(400);
  expect(differing.json()).toMatchObject({ code: 'FIELD_INVALID', field: 'idempotencyKey' });
});

test('idempotency keys of another API key are other keys', async () => {
  const key = { 'idempotency-key': 'shared' };
  const mine = await post('/v1/notifications', request(), key);
  const theirs = await post('/v1/notifications', request(), { ...key, authorization: 'Bearer other-key' });
  expect(theirs.statusCode).toBe(202);
  expect(theirs.json().id).not.toBe(mine.json().id);
});

test('in bulk each notification has its own result, in order', async () => {
  const notifications = [request(), request({ data: {} }), 7, request({ templateId: 'nothing' }), request({ userId: 'u3' })];
  const answer = await post('/v1/notifications/bulk', { notifications });
  expect(answer.statusCode).toBe(202);
  const { results } = bulkAnswerSchema.parse(answer.json());
  expect(results.map((result) => (result.ok ? 'ok' : [result.error.code, result.error.field]))).toEqual([
    'ok',
    ['TEMPLATE_DATA_MISSING', 'data.therapistName'],
    ['FIELD_INVALID', undefined],
    ['TEMPLATE_NOT_FOUND', 'templateId'],
    'ok',
  ]);
});

test('a thousand are taken at once, one more is not; nor is another envelope', async () => {
  const many = (count: number) => ({ notifications: Array.from({ length: count }, (_, index) => request({ userId: `bulk-${index}` })) });
  const answer = await post('/v1/notifications/bulk', many(1000));
  expect(answer.statusCode).toBe(202);
  const { results } = answer.json() as { results: { ok: boolean; id: string }[] };
  expect(results.every(({ ok }) => ok)).toBe(true);
  expect(new Set(results.map(({ id }) => id)).size).toBe(1000);
  for (const wrong of [many(1001), {}, [], { notifications: [], more: 1 }, { notifications: 'x' }]) {
    const refused = await post('/v1/notifications/bulk', wrong);
    expect(refused.statusCode).toBe(400);
    expect(refused.json()).toMatchObject({ code: 'FIELD_INVALID' });
  }
});

test.each(['nothing', '018f0000-0000-7000-8000-000000000000', '%7Bx%7D'])('%s is not the id of a notification', async (id) => {
  const answer = await get(`/v1/notifications/${id}`);
  expect(answer.statusCode).toBe(404);
  expect(answer.json()).toMatchObject({ code: 'NOTIFICATION_NOT_FOUND' });
});

test('cancelling answers what was stopped, for good, and what was out already', async () => {
  const { id } = (await post('/v1/notifications', request())).json();
  const cancel = (url: string) => running.api.inject({ method: 'DELETE', url, headers: AUTHORIZED });
  for (let i = 0; i < 2; i++) {
    const answer = await cancel(`/v1/notifications/${id}`);
    expect(answer.statusCode).toBe(200);
    expect(canceledSchema.strict().parse(answer.json())).toEqual({ canceled: [id], alreadySent: [] });
  }
  expect((await get(`/v1/notifications/${id}`)).json()).toMatchObject({ status: 'canceled' });

  const late = (await post('/v1/notifications', request())).json();
  await running.deliveries.settle([{ id: late.id, channel: 'in_app', status: 'delivered', attempts: 1 }]);
  expect((await cancel(`/v1/notifications/${late.id}`)).json()).toEqual({ canceled: [], alreadySent: [late.id] });
  for (const unknown of ['x', '018f0000-0000-7000-8000-000000000000']) {
    expect((await cancel(`/v1/notifications/${unknown}`)).json()).toMatchObject({ code: 'NOTIFICATION_NOT_FOUND', status: 404 });
  }
});

test('cancelling by key stops all that have it, or those of one user', async () => {
  const queue = async (userId: string, cancellationKey: string) =>
    (await post('/v1/notifications', request({ userId, cancellationKey }))).json().id as string;
  const [ann, bob, other] = [await queue('ann', 'visit-7'), await queue('bob', 'visit-7'), await queue('ann', 'visit-8')];
  const cancel = (payload: object) => post('/v1/notifications/cancel', payload);
  expect((await cancel({ cancellationKey: 'visit-7', userId: 'bob' })).json()).toEqual({ canceled: [bob], alreadySent: [] });
  expect((await get(`/v1/notifications/${ann}`)).json().status).toBe('pending');
  expect((await cancel({ cancellationKey: 'visit-7' })).json()).toEqual({ canceled: [ann, bob].sort(), alreadySent: [] });
  expect((await get(`/v1/notifications/${other}`)).json().status).toBe('pending');
  expect((await cancel({ cancellationKey: 'unknown' })).json()).toEqual({ canceled: [], alreadySent: [] });
});

test.each([
  [{}, 'cancellationKey'],
  [{ cancellationKey: '' }, 'cancellationKey'],
  [{ cancellationKey: 'x', userId: '' }, 'userId'],
  [{ id: 'x' }, 'cancellationKey'],
  [{ cancellationKey: 'x', more: 1 }, 'more'],
])('nothing is cancelled for %j', async (payload, field) => {
  const answer = await post('/v1/notifications/cancel', payload);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', field });
});
