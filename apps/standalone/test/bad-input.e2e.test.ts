import { createHmac } from 'node:crypto';
import { createTokenIssuer } from '@carillon/access';
import type { NotificationRequest } from '@carillon/contracts';
import { startRedis, TestClient } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { NotificationService } from '../src/index.js';
import {
  apiKey,
  ask,
  createService,
  end,
  endings,
  greet,
  hello,
  jwtSecret,
  openStores,
  type Stores,
  startStandalone,
  tokenFor,
} from './system.js';

const later = endings('all');
let service: NotificationService;
let stores: Stores;
let http: string;
let sockets: string;

beforeAll(async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const place = { redisUrl: redis.url };
  stores = await openStores(place);
  later(() => stores.close());
  service = createService(place);
  later(() => service.close());
  await service.registerTemplate(hello);
  await service.registerTemplate({ ...hello, id: 'body-only', title: 'Hello', body: '{{a.b}}{{#rows}}{{.}}{{/rows}}' });
  const started = await startStandalone(place);
  later(() => end(started.process));
  ({ http, sockets } = started);
});
afterAll(() => undefined);

/** Nothing is in any queue in any state, no inbox has changed, no record and no key was written. */
async function expectNothingQueued() {
  expect((await stores.views.counts()).filter(({ length }) => length > 0)).toEqual([]);
  const keys = async (pattern: string) => stores.redis.command<string[]>('KEYS', `${stores.redis.keys.prefix}${pattern}`);
  expect([...(await keys('delivery:*')), ...(await keys('idempotency:*')), ...(await keys('notifications:*'))]).toEqual([]);
}

const nested = (depth: number): unknown => (depth === 0 ? 1 : { in: nested(depth - 1) });
const cyclic: Record<string, unknown> = { name: 'x' };
cyclic.self = cyclic;
const long = (size: number) => 'x'.repeat(size);

// The tests take their rows as rest parameters: Jest would take a fourth one that a row lacks for a callback.
type Case = [what: string, request: unknown, code: string, field?: string];
/** A good request but for what is given. */
const but = (wrong: object) => ({ ...greet('ann', 'x'), ...wrong });

/** What JSON can say, so that it is refused the same by the library and over HTTP. */
const inJson: Case[] = [
  ['no userId', but({ userId: undefined }), 'FIELD_INVALID', 'userId'],
  ['an empty userId', but({ userId: '' }), 'FIELD_INVALID', 'userId'],
  ['a userId of 257 characters', but({ userId: long(257) }), 'FIELD_INVALID', 'userId'],
  ['a userId with a line break', but({ userId: 'a\nb' }), 'FIELD_INVALID', 'userId'],
  ['a userId with a NUL', but({ userId: 'a\0b' }), 'FIELD_INVALID', 'userId'],
  ['a userId with a C1 control', but({ userId: 'a\u0085b' }), 'FIELD_INVALID', 'userId'],
  ['a userId that is a number', but({ userId: 7 }), 'FIELD_INVALID', 'userId'],
  ['no templateId', but({ templateId: undefined }), 'FIELD_INVALID', 'templateId'],
  ['a templateId with a slash', but({ templateId: '../x' }), 'FIELD_INVALID', 'templateId'],
  ['an unknown template', but({ templateId: 'nobody' }), 'TEMPLATE_NOT_FOUND', 'templateId'],
  ['a missing placeholder', but({ data: {} }), 'TEMPLATE_DATA_MISSING', 'data.name'],
  ['a placeholder that is null', but({ data: { name: null } }), 'TEMPLATE_DATA_MISSING', 'data.name'],
  ['a placeholder that is an object', but({ data: { name: { a: 1 } } }), 'TEMPLATE_DATA_INVALID', 'data.name'],
  ['a placeholder that is a list', but({ data: { name: ['a'] } }), 'TEMPLATE_DATA_INVALID', 'data.name'],
  [
    'a nested placeholder that is missing',
    but({ templateId: 'body-only', data: { a: {}, rows: [] } }),
    'TEMPLATE_DATA_MISSING',
    'data.a.b',
  ],
  ['a missing section', but({ templateId: 'body-only', data: { a: { b: 1 } } }), 'TEMPLATE_DATA_MISSING', 'data.rows'],
  ['CR LF in a value of the title', but({ data: { name: 'x\r\nBcc: all' } }), 'TEMPLATE_DATA_INVALID', 'data.name'],
  ['a line separator in a value of the title', but({ data: { name: 'x\u2028y' } }), 'TEMPLATE_DATA_INVALID', 'data.name'],
  ['an unknown field', but({ user: 'ann' }), 'FIELD_INVALID', 'user'],
  ['an unknown channel', but({ channels: ['fax'] }), 'FIELD_INVALID', 'channels.0'],
  ['a channel the template is not made for', but({ channels: ['email'] }), 'FIELD_INVALID', 'channels'],
  ['a channel twice', but({ channels: ['in_app', 'in_app'] }), 'FIELD_INVALID', 'channels'],
  ['no channel', but({ channels: [] }), 'FIELD_INVALID', 'channels'],
  ['an unknown priority', but({ priority: 'extreme' }), 'FIELD_INVALID', 'priority'],
  ['eleven tags', but({ tags: Array.from({ length: 11 }, (_, i) => `${i}`) }), 'FIELD_INVALID', 'tags'],
  ['a tag of 65 characters', but({ tags: ['a', long(65)] }), 'FIELD_INVALID', 'tags.1'],
  ['a category with a tab', but({ category: 'a\tb' }), 'FIELD_INVALID', 'category'],
  ['a threadId of 129 characters', but({ threadId: long(129) }), 'FIELD_INVALID', 'threadId'],
  ['a javascript: url', but({ url: 'javascript:alert(1)' }), 'FIELD_INVALID', 'url'],
  ['a url of another host in disguise', but({ url: '//evil.example' }), 'FIELD_INVALID', 'url'],
  ['an idempotencyKey of 256 characters', but({ idempotencyKey: long(256) }), 'FIELD_INVALID', 'idempotencyKey'],
  ['an empty idempotencyKey', but({ idempotencyKey: '' }), 'FIELD_INVALID', 'idempotencyKey'],
  ['an empty cancellationKey', but({ cancellationKey: '' }), 'FIELD_INVALID', 'cancellationKey'],
  ['a cancellationKey with a line break', but({ cancellationKey: 'a\nb' }), 'FIELD_INVALID', 'cancellationKey'],
  ['an inline address of an unknown kind', but({ to: { fax: '+15550100' } }), 'FIELD_INVALID', 'to.fax'],
  ['an inline mail address with a second line', but({ to: { email: 'a@b.example\r\nBcc: c@d.example' } }), 'FIELD_INVALID', 'to.email'],
  ['two inline mail addresses', but({ to: { email: 'a@b.example, c@d.example' } }), 'FIELD_INVALID', 'to.email'],
  ['an inline phone number without its country', but({ to: { phone: '0664 1234567' } }), 'FIELD_INVALID', 'to.phone'],
  ['no data', but({ data: undefined }), 'FIELD_INVALID', 'data'],
  ['data that is text', but({ data: 'x' }), 'FIELD_INVALID', 'data'],
  ['data that is a list', but({ data: [] }), 'FIELD_INVALID', 'data'],
  ['data that is null', but({ data: null }), 'FIELD_INVALID', 'data'],
  ['data of more than 32 KiB', but({ data: { name: long(32 * 1024) } }), 'FIELD_INVALID', 'data'],
  ['data 11 deep', but({ data: { name: 'x', deep: nested(11) } }), 'FIELD_INVALID'],
  ['a list', [], 'FIELD_INVALID'],
  ['null', null, 'FIELD_INVALID'],
  ['text', 'x', 'FIELD_INVALID'],
];

const onlyInMemory: Case[] = [
  ['undefined', undefined, 'FIELD_INVALID'],
  ['NaN in data', but({ data: { name: 'x', n: [1, Number.NaN] } }), 'FIELD_INVALID', 'data.n.1'],
  ['an infinite number in data', but({ data: { name: Number.POSITIVE_INFINITY } }), 'FIELD_INVALID', 'data.name'],
  ['a Date in data', but({ data: { name: 'x', at: new Date() } }), 'FIELD_INVALID', 'data.at'],
  ['a function in data', but({ data: { name: () => 'x' } }), 'FIELD_INVALID', 'data.name'],
  ['a Map in data', but({ data: { name: 'x', m: new Map() } }), 'FIELD_INVALID', 'data.m'],
  ['a bigint in data', but({ data: { name: 1n } }), 'FIELD_INVALID', 'data.name'],
  ['a symbol in data', but({ data: { name: Symbol('x') } }), 'FIELD_INVALID', 'data.name'],
  ['undefined in data', but({ data: { name: 'x', u: undefined } }), 'FIELD_INVALID', 'data.u'],
  ['cyclic data', but({ data: cyclic }), 'FIELD_INVALID'],
  ['a userId with half a character', but({ userId: '\ud800' }), 'FIELD_INVALID', 'userId'],
];

test.each([...inJson, ...onlyInMemory])('the library refuses %s', async (...[, request, code, field]: Case) => {
  const expected = expect.objectContaining({ code, ...(field !== undefined && { field }) });
  await expect(service.queueNotification(request as NotificationRequest)).rejects.toEqual(expected);
  expect(await service.queueNotifications([request as NotificationRequest])).toEqual([{ ok: false, error: expected }]);
  await expectNothingQueued();
});

const statusOf: Record<string, number> = { TEMPLATE_NOT_FOUND: 404 };

test.each(inJson)('HTTP refuses %s, alone and in bulk', async (...[, request, code, field]: Case) => {
  const expected = { code, ...(field !== undefined && { field }) };
  const answer = await ask(`${http}/v1/notifications`, 'POST', JSON.stringify(request));
  expect(answer).toMatchObject({
    status: statusOf[code] ?? 400,
    body: { ...expected, detail: expect.any(String), title: expect.any(String) },
  });
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const bulk = await ask(`${http}/v1/notifications/bulk`, 'POST', { notifications: [request] });
  expect(bulk).toMatchObject({ status: 202, body: { results: [{ ok: false, error: expected }] } });
  await expectNothingQueued();
});

const tag = (name: string) => ({ ...hello, id: 'bad', body: name });
const deepSections = (depth: number) => `${'{{#a}}'.repeat(depth)}x${'{{/a}}'.repeat(depth)}`;
const templates: Case[] = [
  ['a triple tag', tag('{{{name}}}'), 'TEMPLATE_INVALID', 'body'],
  ['a raw tag', tag('{{&name}}'), 'TEMPLATE_INVALID', 'body'],
  ['changed delimiters', tag('{{=<% %>=}}<%name%>'), 'TEMPLATE_INVALID', 'body'],
  ['a partial', tag('{{>other}}'), 'TEMPLATE_INVALID', 'body'],
  ['an unclosed section', tag('{{#a}}x'), 'TEMPLATE_INVALID', 'body'],
  ['an unopened section', tag('x{{/a}}'), 'TEMPLATE_INVALID', 'body'],
  ['an unclosed tag', tag('{{name'), 'TEMPLATE_INVALID', 'body'],
  ['__proto__', tag('{{__proto__.x}}'), 'TEMPLATE_INVALID', 'body'],
  ['constructor', tag('{{a.constructor}}'), 'TEMPLATE_INVALID', 'body'],
  ['prototype as a section', tag('{{#prototype}}x{{/prototype}}'), 'TEMPLATE_INVALID', 'body'],
  ['sections 21 deep', tag(deepSections(21)), 'TEMPLATE_INVALID', 'body'],
  ['a raw tag in the title', { ...tag('x'), title: '{{{name}}}' }, 'TEMPLATE_INVALID', 'title'],
  ['a line break in the title', { ...tag('x'), title: 'a\nb' }, 'TEMPLATE_INVALID', 'title'],
  ['a body over 64 KiB', tag(long(64 * 1024 + 1)), 'FIELD_INVALID', 'body'],
  ['no body', { ...tag(''), id: 'bad' }, 'FIELD_INVALID', 'body'],
  ['no title', { ...tag('x'), title: undefined }, 'FIELD_INVALID', 'title'],
  ['no channels', { ...tag('x'), channels: [] }, 'FIELD_INVALID', 'channels'],
  ['an unknown field', { ...tag('x'), colour: 'red' }, 'FIELD_INVALID', 'colour'],
  ['an unknown field of mail', { ...tag('x'), email: { bcc: 'a@b.example' } }, 'FIELD_INVALID', 'email.bcc'],
  ['a sender that is two', { ...tag('x'), email: { from: 'a@b.example, c@d.example' } }, 'FIELD_INVALID', 'email.from'],
  ['a line break in a subject', { ...tag('x'), email: { subject: 'a\r\nBcc: c@d.example' } }, 'TEMPLATE_INVALID', 'email.subject'],
  ['a line break in a push title', { ...tag('x'), push: { title: 'a\nb' } }, 'TEMPLATE_INVALID', 'push.title'],
  ['a raw tag in a text message', { ...tag('x'), sms: { text: '{{{name}}}' } }, 'TEMPLATE_INVALID', 'sms.text'],
  ['an unknown type of field', { ...tag('x'), fields: { name: { type: 'blob' } } }, 'FIELD_INVALID', 'fields.name.type'],
  ['a tag that is no declared field', { ...tag('{{other}}'), fields: { name: { type: 'text' } } }, 'TEMPLATE_INVALID'],
  ['an unknown language', { ...tag('x'), locales: { 'not a tag': { title: 'x' } } }, 'FIELD_INVALID'],
  ['a policy that is none', { ...tag('x'), email: { onUnknown: 'maybe' } }, 'FIELD_INVALID', 'email.onUnknown'],
  ['an id with a space', { ...tag('x'), id: 'a b' }, 'FIELD_INVALID', 'id'],
  ['an id with braces', { ...tag('x'), id: '{a}' }, 'FIELD_INVALID', 'id'],
  ['an id of 129 characters', { ...tag('x'), id: long(129) }, 'FIELD_INVALID', 'id'],
];

test.each(templates)(
  'a template with %s is refused by the library and over HTTP, and is not registered',
  async (...[, template, code, field]: Case) => {
    await expect(service.registerTemplate(template as never)).rejects.toEqual(
      expect.objectContaining({ code, ...(field !== undefined && { field }) }),
    );
    const { id, ...body } = template as { id: string };
    const path = `${http}/v1/templates/${encodeURIComponent(id)}`;
    expect(await ask(path, 'PUT', body)).toMatchObject({ status: 400, body: { code, ...(field !== undefined && { field }) } });
    expect(await ask(path, 'GET')).toMatchObject({ status: 404, body: { code: 'TEMPLATE_NOT_FOUND' } });
    await expectNothingQueued();
  },
);

const notifications = () => `${http}/v1/notifications`;
const many = (size: number) => ({ notifications: Array.from({ length: size }, () => greet('ann', 'x')) });
const id = '01890000-0000-7000-8000-000000000000';
type HttpCase = [what: string, send: () => ReturnType<typeof ask>, status: number, code: string, field?: string];
const requests: HttpCase[] = [
  ['malformed JSON', () => ask(notifications(), 'POST', '{"userId":'), 400, 'FIELD_INVALID'],
  ['no body', () => ask(notifications(), 'POST'), 400, 'FIELD_INVALID'],
  [
    'a wrong content type',
    () => ask(notifications(), 'POST', 'x', { 'content-type': 'text/plain' }),
    415,
    'UNSUPPORTED_MEDIA_TYPE',
    'content-type',
  ],
  ['a body that is far too large', () => ask(notifications(), 'POST', but({ data: { name: long(100_000) } })), 413, 'PAYLOAD_TOO_LARGE'],
  [
    'prototype pollution',
    () => ask(notifications(), 'POST', '{"userId":"ann","templateId":"hello","data":{"__proto__":{"name":"x"}}}'),
    400,
    'FIELD_INVALID',
  ],
  ['no key', () => ask(notifications(), 'POST', greet('ann', 'x'), { authorization: '' }), 401, 'UNAUTHORIZED'],
  ['a wrong key', () => ask(notifications(), 'POST', greet('ann', 'x'), { authorization: 'Bearer wrong' }), 401, 'UNAUTHORIZED'],
  [
    'the key with a letter more',
    () => ask(notifications(), 'POST', greet('ann', 'x'), { authorization: `Bearer ${apiKey}x` }),
    401,
    'UNAUTHORIZED',
  ],
  [
    'an Idempotency-Key of 256 characters',
    () => ask(notifications(), 'POST', greet('ann', 'x'), { 'idempotency-key': long(256) }),
    400,
    'FIELD_INVALID',
    'idempotencyKey',
  ],
  ['a bulk of 1001', () => ask(`${notifications()}/bulk`, 'POST', many(1001)), 400, 'FIELD_INVALID', 'notifications'],
  ['a bulk that is a list', () => ask(`${notifications()}/bulk`, 'POST', []), 400, 'FIELD_INVALID'],
  [
    'a bulk whose notifications are no list',
    () => ask(`${notifications()}/bulk`, 'POST', { notifications: {} }),
    400,
    'FIELD_INVALID',
    'notifications',
  ],
  [
    'a bulk with an unknown field',
    () => ask(`${notifications()}/bulk`, 'POST', { ...many(1), dryRun: true }),
    400,
    'FIELD_INVALID',
    'dryRun',
  ],
  ['an unknown notification', () => ask(`${notifications()}/${id}`, 'GET'), 404, 'NOTIFICATION_NOT_FOUND'],
  ['an id that is none', () => ask(`${notifications()}/x`, 'GET'), 404, 'NOTIFICATION_NOT_FOUND'],
  ['an unknown route', () => ask(`${http}/v1/nothing`, 'GET'), 404, 'ROUTE_NOT_FOUND'],
  ['marking an unknown one as read', () => ask(`${http}/v1/users/ann/notifications/${id}/read`, 'POST'), 404, 'NOTIFICATION_NOT_FOUND'],
  ['limit 0', () => ask(`${http}/v1/users/ann/notifications?limit=0`, 'GET'), 400, 'FIELD_INVALID', 'limit'],
  ['limit 101', () => ask(`${http}/v1/users/ann/notifications?limit=101`, 'GET'), 400, 'FIELD_INVALID', 'limit'],
  ['a limit that is no number', () => ask(`${http}/v1/users/ann/notifications?limit=many`, 'GET'), 400, 'FIELD_INVALID', 'limit'],
  ['a negative offset', () => ask(`${http}/v1/users/ann/notifications?offset=-1`, 'GET'), 400, 'FIELD_INVALID', 'offset'],
  ['a cursor that is none', () => ask(`${http}/v1/users/ann/notifications?cursor=x`, 'GET'), 400, 'FIELD_INVALID', 'cursor'],
  ['a cursor with an offset', () => ask(`${http}/v1/users/ann/notifications?cursor=x&offset=1`, 'GET'), 400, 'FIELD_INVALID', 'cursor'],
  [
    'a userId in the path with a control character',
    () => ask(`${http}/v1/users/a%0Ab/unread-count`, 'GET'),
    400,
    'FIELD_INVALID',
    'userId',
  ],
  ['a broken percent sign', () => ask(`${http}/v1/users/%zz/unread-count`, 'GET'), 400, 'FIELD_INVALID'],
  ['a token without a user', () => ask(`${http}/v1/tokens`, 'POST', {}), 400, 'FIELD_INVALID', 'userId'],
  ['a token of no time', () => ask(`${http}/v1/tokens`, 'POST', { userId: 'ann', ttlSeconds: 0 }), 400, 'FIELD_INVALID', 'ttlSeconds'],
  [
    'a token of too long',
    () => ask(`${http}/v1/tokens`, 'POST', { userId: 'ann', ttlSeconds: 31 * 24 * 3600 }),
    400,
    'FIELD_INVALID',
    'ttlSeconds',
  ],
  [
    'a token of half a second',
    () => ask(`${http}/v1/tokens`, 'POST', { userId: 'ann', ttlSeconds: 0.5 }),
    400,
    'FIELD_INVALID',
    'ttlSeconds',
  ],
  [
    'a template id that differs from the path',
    () => ask(`${http}/v1/templates/a`, 'PUT', { ...hello, id: 'b' }),
    400,
    'FIELD_INVALID',
    'id',
  ],
];

test.each(requests)('HTTP refuses %s', async (...[, send, status, code, field]: HttpCase) => {
  const answer = await send();
  expect(answer).toMatchObject({ status, body: { status, code, ...(field !== undefined && { field }) } });
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  if (status === 401) expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  await expectNothingQueued();
});

type CallCase = [what: string, call: () => Promise<unknown>, code: string, field?: string];
const lists: CallCase[] = [
  ['limit 0', () => service.getNotifications('ann', 0), 'FIELD_INVALID', 'limit'],
  ['limit 1001', () => service.getNotifications('ann', 1001), 'FIELD_INVALID', 'limit'],
  ['half a limit', () => service.getNotifications('ann', 1.5), 'FIELD_INVALID', 'limit'],
  ['a negative offset', () => service.getNotifications('ann', 1, -1), 'FIELD_INVALID', 'offset'],
  ['an empty userId', () => service.getUnreadCount(''), 'FIELD_INVALID', 'userId'],
  ['a userId that is none', () => service.markAllAsRead(null as never), 'FIELD_INVALID', 'userId'],
  ['a list that is none', () => service.queueNotifications({} as never), 'FIELD_INVALID'],
  ['an unknown notification', () => service.markAsRead('ann', id), 'NOTIFICATION_NOT_FOUND', 'notificationId'],
];

test.each(lists)('the library refuses %s in its other calls', async (...[, call, code, field]: CallCase) => {
  await expect((async () => call())()).rejects.toEqual(expect.objectContaining({ code, ...(field !== undefined && { field }) }));
});

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
function jwt(header: object, claims: object): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', jwtSecret).update(signed).digest('base64url')}`;
}
const none = () => `${part({ alg: 'none', typ: 'JWT' })}.${part({ sub: 'ann', exp: inAnHour() })}.`;
const signIn = (token: unknown) => JSON.stringify({ type: 'authenticate', token });

type FirstFrame = [what: string, frame: () => string | Buffer | Promise<string>, code: string, close: number];
const firstFrames: FirstFrame[] = [
  ['no JSON', () => 'hello', 'BAD_MESSAGE', 3501],
  ['another request', () => JSON.stringify({ type: 'getNotifications' }), 'NOT_AUTHENTICATED', 3501],
  ['an unknown type', () => JSON.stringify({ type: 'login' }), 'NOT_AUTHENTICATED', 3501],
  ['JSON that is no object', () => '[]', 'NOT_AUTHENTICATED', 3501],
  ['a binary frame', () => Buffer.from('{}'), 'BAD_MESSAGE', 3501],
  ['a frame over 16 KiB', () => signIn(long(16 * 1024)), 'PAYLOAD_TOO_LARGE', 3501],
  ['no token', () => JSON.stringify({ type: 'authenticate' }), 'FIELD_INVALID', 3500],
  ['a token that is a number', () => signIn(7), 'FIELD_INVALID', 3500],
  ['a token that is none', () => signIn('nonsense'), 'TOKEN_INVALID', 3500],
  ['an expired token', () => signIn(jwt({ alg: 'HS256' }, { sub: 'ann', exp: 1 })), 'TOKEN_EXPIRED', 3500],
  ['a token without exp', () => signIn(jwt({ alg: 'HS256' }, { sub: 'ann' })), 'TOKEN_INVALID', 3500],
  ['a token without a user', () => signIn(jwt({ alg: 'HS256' }, { exp: inAnHour() })), 'TOKEN_INVALID', 3500],
  [
    'a token of another secret',
    async () => signIn((await createTokenIssuer({ jwtSecret: 'another secret, as long as ours' }).issue('ann')).token),
    'TOKEN_INVALID',
    3500,
  ],
  ['a token of alg none', () => signIn(none()), 'TOKEN_INVALID', 3500],
  ['a token that lies about its algorithm', () => signIn(jwt({ alg: 'HS512' }, { sub: 'ann', exp: inAnHour() })), 'TOKEN_INVALID', 3500],
  [
    'a negative offset',
    async () => JSON.stringify({ type: 'authenticate', token: await tokenFor('ann'), epoch: 'x', offset: -1 }),
    'FIELD_INVALID',
    3500,
  ],
];

test.each(firstFrames)('a socket that begins with %s is told so and closed', async (...[, frame, code, close]: FirstFrame) => {
  const client = await TestClient.connect(sockets);
  client.socket.send(await frame());
  expect((await client.closed).code).toBe(close);
  expect(client.frames).toMatchObject([{ type: 'error', code, error: expect.any(String) }]);
});

type Frame = [what: string, frame: string | Buffer, code: string];
const frames: Frame[] = [
  ['no JSON', '{', 'BAD_MESSAGE'],
  ['a binary frame', Buffer.from('{}'), 'BAD_MESSAGE'],
  ['JSON that is no object', '7', 'BAD_MESSAGE'],
  ['an unknown type', JSON.stringify({ type: 'subscribe' }), 'BAD_MESSAGE'],
  ['a type of Object.prototype', JSON.stringify({ type: 'toString' }), 'BAD_MESSAGE'],
  ['no notificationId', JSON.stringify({ type: 'markAsRead' }), 'FIELD_INVALID'],
  ['an empty notificationId', JSON.stringify({ type: 'markAsRead', notificationId: '' }), 'FIELD_INVALID'],
  ['an unknown notificationId', JSON.stringify({ type: 'markAsRead', notificationId: id }), 'NOTIFICATION_NOT_FOUND'],
  ['a notificationId that is none', JSON.stringify({ type: 'markAsRead', notificationId: '../x' }), 'NOTIFICATION_NOT_FOUND'],
  ['a negative offset', JSON.stringify({ type: 'getNotifications', offset: -1 }), 'FIELD_INVALID'],
  ['limit 0', JSON.stringify({ type: 'getNotifications', limit: 0 }), 'FIELD_INVALID'],
  ['limit 101', JSON.stringify({ type: 'getNotifications', limit: 101 }), 'FIELD_INVALID'],
  ['a limit that is text', JSON.stringify({ type: 'getNotifications', limit: '5' }), 'FIELD_INVALID'],
];

test.each(frames)('a socket that is signed in and sends %s gets an error frame and lives on', async (...[, frame, code]: Frame) => {
  const client = await TestClient.connect(sockets);
  await client.authenticate(await tokenFor('ann'));
  client.socket.send(frame);
  expect(await client.next('error')).toMatchObject({ code, error: expect.any(String) });
  expect(await client.request({ type: 'getNotifications' })).toMatchObject({ type: 'notifications', data: [], offset: 0 });
  await client.close();
});

test('a frame over 16 KiB closes a socket that is signed in, too', async () => {
  const client = await TestClient.connect(sockets);
  await client.authenticate(await tokenFor('ann'));
  client.send(JSON.stringify({ type: 'getNotifications', padding: long(16 * 1024) }));
  expect((await client.closed).code).toBe(3501);
});

test('after all of it a good one still goes through', async () => {
  expect(await ask(notifications(), 'POST', greet('ann', 'x'))).toMatchObject({ status: 202 });
  expect(await service.queueNotification(greet('auth0|ann {1}', '\u{1f514} x', { url: '/inbox', tags: ['a'] }))).toEqual(
    expect.any(String),
  );
});
