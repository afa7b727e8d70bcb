import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { devicePageSchema, deviceSchema, suppressionSchema } from '../src/user-schemas.js';
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
