import { CATEGORIES_MAX } from '@carillon/contracts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { devicePageSchema, deviceRegistrationSchema, deviceSchema, suppressionSchema } from '../src/user-schemas.js';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

type Method = 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE';
const call = (method: Method, url: string, payload?: unknown) =>
  running.api.inject({
    method,
    url,
    headers: { ...AUTHORIZED, ...(payload !== undefined && { 'content-type': 'application/json' }) },
    ...(payload !== undefined && { payload: JSON.stringify(payload) }),
  });
const ADA = { email: 'ada@clinic.example', phone: '+15550100', name: 'Ada', locale: 'de-AT', timeZone: 'Europe/Vienna' };
const FCM = { fcm: { token: 'token-1' }, platform: 'android' };
const WEB = {
  web: {
    endpoint: 'https://push.example.com/abc',
    keys: { p256dh: Buffer.alloc(65, 4).toString('base64url'), auth: Buffer.alloc(16, 1).toString('base64url') },
  },
};

test('a profile is replaced by PUT and merged by PATCH, where null removes', async () => {
  const path = `/v1/users/${encodeURIComponent('auth0|ada')}`;
  const put = await call('PUT', path, ADA);
  expect(put.statusCode).toBe(200);
  expect(put.json()).toEqual(ADA);
  expect((await call('PATCH', path, { name: 'Ada L.', phone: null })).json()).toEqual({
    email: ADA.email,
    name: 'Ada L.',
    locale: 'de-AT',
    timeZone: 'Europe/Vienna',
  });
  expect((await call('PUT', path, { name: 'A' })).json()).toEqual({ name: 'A' });
  expect((await call('GET', path)).json()).toEqual({ name: 'A' });
});

test('whom nobody has told us of has no profile, no wishes and no devices', async () => {
  const answer = await call('GET', '/v1/users/nobody');
  expect(answer.statusCode).toBe(404);
  expect(answer.json()).toMatchObject({ code: 'USER_NOT_FOUND' });
  expect((await call('GET', '/v1/users/nobody/preferences')).json()).toEqual({});
  expect((await call('GET', '/v1/users/nobody/devices')).json()).toEqual({ data: [], nextCursor: null });
  expect((await call('GET', '/v1/users/nobody/suppressions/email')).json()).toMatchObject({ code: 'SUPPRESSION_NOT_FOUND' });
});

test.each([
  ['PUT', '', { email: 'no address' }, 'email'],
  ['PUT', '', { phone: '0043 1' }, 'phone'],
  ['PUT', '', { name: 'a\r\nBcc: b' }, 'name'],
  ['PUT', '', { locale: 'not a locale' }, 'locale'],
  ['PUT', '', { timeZone: 'Mars/Base' }, 'timeZone'],
  ['PUT', '', { mail: 'a@b.example' }, 'mail'],
  ['PUT', '', null, undefined],
  ['PATCH', '', { email: 7 }, 'email'],
  ['PUT', '/preferences', { mute: 'yes' }, 'mute'],
  ['PUT', '/preferences', { channels: { pigeon: false } }, 'channels.pigeon'],
  ['PUT', '/preferences', { categories: { news: { email: 'no' } } }, 'categories.news'],
  ['PUT', '/preferences', [], undefined],
  ['POST', '/devices', {}, 'fcm'],
  ['POST', '/devices', { fcm: { token: 'a', fid: 'b' } }, 'fcm'],
  ['POST', '/devices', { ...FCM, platform: 'toaster' }, 'platform'],
  ['POST', '/devices', { web: { ...WEB.web, endpoint: 'http://169.254.169.254/' } }, 'web.endpoint'],
  ['POST', '/devices', { web: { ...WEB.web, keys: { p256dh: 'x', auth: 'y' } } }, 'web.keys.p256dh'],
] as const)('%s %s with %j is refused by its field', async (method, path, payload, field) => {
  const answer = await call(method, `/v1/users/careful${path}`, payload);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', ...(field && { field }) });
  expect((await call('GET', '/v1/users/careful')).statusCode).toBe(404);
});

test('no body is no profile', async () => {
  expect((await call('PUT', '/v1/users/careful')).json()).toMatchObject({ code: 'FIELD_INVALID' });
});

test('preferences are replaced', async () => {
  const wishes = { channels: { sms: false }, categories: { news: false, visits: { email: true, push: false } } };
  expect((await call('PUT', '/v1/users/chooser/preferences', wishes)).json()).toEqual(wishes);
  expect((await call('PUT', '/v1/users/chooser/preferences', { mute: true })).json()).toEqual({ mute: true });
  expect((await call('GET', '/v1/users/chooser/preferences')).json()).toEqual({ mute: true });
});

test('devices are registered, listed without their tokens, moved to another user, and forgotten', async () => {
  const one = await call('POST', '/v1/users/owner/devices', FCM);
  expect(one.statusCode).toBe(200);
  expect(deviceSchema.strict().parse(one.json())).toMatchObject({ kind: 'fcm', platform: 'android' });
  const two = (await call('POST', '/v1/users/owner/devices', WEB)).json();
  const list = await call('GET', '/v1/users/owner/devices');
  expect(
    devicePageSchema
      .strict()
      .parse(list.json())
      .data.map(({ id }) => id)
      .sort(),
  ).toEqual([one.json().id, two.id].sort());
  expect(list.body).not.toMatch(/token-1|push\.example/);

  await call('POST', '/v1/users/heir/devices', FCM);
  expect((await call('GET', '/v1/users/owner/devices')).json().data).toMatchObject([{ id: two.id }]);
  expect((await call('GET', '/v1/users/heir/devices')).json().data).toMatchObject([{ kind: 'fcm' }]);

  expect((await call('DELETE', `/v1/users/heir/devices/${two.id}`)).json()).toMatchObject({ code: 'DEVICE_NOT_FOUND', status: 404 });
  expect((await call('DELETE', `/v1/users/owner/devices/${two.id}`)).statusCode).toBe(204);
  expect((await call('DELETE', `/v1/users/owner/devices/${two.id}`)).statusCode).toBe(404);
});

test('a stop on an address is visible and can be lifted', async () => {
  await call('PUT', '/v1/users/bouncer', { email: 'bounce@clinic.example' });
  await running.directory.suppress('email', 'bounce@clinic.example', { reason: 'bounced', provider: 'sendgrid' });
  const path = '/v1/users/bouncer/suppressions/email';
  const shown = await call('GET', path);
  expect(suppressionSchema.strict().parse(shown.json())).toMatchObject({ channel: 'email', reason: 'bounced', provider: 'sendgrid' });
  expect((await call('DELETE', path)).statusCode).toBe(204);
  for (const method of ['GET', 'DELETE'] as const) {
    expect((await call(method, path)).json()).toMatchObject({ code: 'SUPPRESSION_NOT_FOUND', status: 404 });
  }
  expect((await call('GET', '/v1/users/bouncer/suppressions/pigeon')).json()).toMatchObject({ code: 'FIELD_INVALID', field: 'channel' });
});

test('a stop on an address that came with a request is seen and lifted by that address', async () => {
  await running.directory.suppress('email', 'given@clinic.example', { reason: 'complaint', provider: 'sendgrid' });
  await running.directory.suppress('sms', '+15550123', { reason: 'unsubscribed', provider: 'twilio' });
  const mail = '/v1/users/stranger/suppressions/email';
  const text = '/v1/users/stranger/suppressions/sms';
  expect((await call('GET', mail)).json()).toMatchObject({ code: 'SUPPRESSION_NOT_FOUND' });
  expect((await call('GET', `${mail}?address=given%40clinic.example`)).json()).toMatchObject({ reason: 'complaint' });
  expect((await call('GET', `${text}?address=%2B15550123`)).json()).toMatchObject({ reason: 'unsubscribed' });
  for (const path of [`${mail}?address=given@clinic.example`, `${text}?address=%2B15550123`]) {
    expect((await call('DELETE', path)).statusCode).toBe(204);
    expect((await call('DELETE', path)).json()).toMatchObject({ code: 'SUPPRESSION_NOT_FOUND', status: 404 });
  }
});

test.each([
  ['email', '%2B15550123'],
  ['email', ''],
  ['email', 'a@b.example&address=c@d.example'],
  ['sms', 'given@clinic.example'],
  // A plus that is not percent-encoded is a blank.
  ['sms', '+15550123'],
  ['push', 'token'],
  ['in_app', 'stranger'],
])('a stop on %s has no address %s', async (channel, address) => {
  for (const method of ['GET', 'DELETE'] as const) {
    const answer = await call(method, `/v1/users/stranger/suppressions/${channel}?address=${address}`);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', field: 'address' });
  }
});

test('a subscription is taken as browsers give it, and so it is described', async () => {
  const given = { web: { ...WEB.web, expirationTime: null } };
  expect((await call('POST', '/v1/users/surfer/devices', given)).statusCode).toBe(200);
  for (const expirationTime of [null, 1_800_000_000_000, undefined])
    expect(deviceRegistrationSchema.safeParse({ web: { ...WEB.web, expirationTime } }).success).toBe(true);
});

test('what preferences may be is written and read back, up to the largest', async () => {
  const names = Array.from({ length: CATEGORIES_MAX }, (_, i) => `\u{1F514}${i}`.padEnd(63, '\u20ac').slice(0, 64));
  const all = { in_app: false, email: false, push: false, sms: false };
  const wishes = { categories: Object.fromEntries(names.map((name) => [name, all])) };
  const put = await call('PUT', '/v1/users/detailed/preferences', wishes);
  expect(put.statusCode).toBe(200);
  expect((await call('GET', '/v1/users/detailed/preferences')).json()).toEqual(wishes);
  const more = { categories: { ...wishes.categories, 'one more': false } };
  expect((await call('PUT', '/v1/users/detailed/preferences', more)).json()).toMatchObject({ code: 'FIELD_INVALID', field: 'categories' });
});

test.each(['"__proto__"', '"\\u005f_proto__"'])('a category is never lost: %s is kept or refused', async (name) => {
  const url = '/v1/users/odd/preferences';
  const payload = `{"categories":{${name}:false,"news":false}}`;
  const headers = { ...AUTHORIZED, 'content-type': 'application/json' };
  const put = await running.api.inject({ method: 'PUT', url, headers, payload });
  const kept = (await running.api.inject({ method: 'GET', url, headers: AUTHORIZED })).body;
  if (put.statusCode === 200) expect(kept).toContain('"__proto__":false');
  else {
    expect(put.statusCode).toBe(400);
    expect(put.json()).toMatchObject({ code: 'FIELD_INVALID' });
    expect(kept).toBe('{}');
  }
});
