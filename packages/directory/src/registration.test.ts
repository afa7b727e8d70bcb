import { expect, test } from '@jest/globals';
import { isPublicEndpoint, readRegistration, tokenOf } from './registration.js';

const endpoint = 'https://updates.push.example/wpush/v2/abc';
const p256dh = Buffer.alloc(65, 4).toString('base64url');
const auth = Buffer.alloc(16, 1).toString('base64url');
const web = { web: { endpoint, keys: { p256dh, auth } } };
const read = (input: unknown) => readRegistration(input, isPublicEndpoint);

test('reads what devices register with', () => {
  expect(read({ fcm: { token: 'abc:DEF-_1' }, platform: 'ios' })).toEqual({
    kind: 'fcm',
    platform: 'ios',
    value: '{"token":"abc:DEF-_1"}',
  });
  expect(read({ fcm: { fid: 'f1' } })).toEqual({ kind: 'fcm', platform: null, value: '{"fid":"f1"}' });
  expect(read(web)).toEqual({ kind: 'web', platform: 'web', value: JSON.stringify(web.web) });
});

test('reads the JSON of a subscription as browsers and libraries write it', () => {
  const padded = { p256dh: `${p256dh}=`, auth: `${auth}==` };
  expect(read({ web: { endpoint, expirationTime: null, keys: padded } })).toEqual(read(web));
});

test('a subscription with new keys is the same device', () => {
  const renewed = read({ web: { endpoint, keys: { p256dh, auth: Buffer.alloc(16, 2).toString('base64url') } } });
  expect(tokenOf(renewed)).toBe(tokenOf(read(web)));
  expect(renewed.value).not.toBe(read(web).value);
});

test.each<[unknown, string | undefined]>([
  [undefined, undefined],
  [null, undefined],
  ['token', undefined],
  [[], undefined],
  [{}, 'fcm'],
  [{ fcm: {} }, 'fcm'],
  [{ fcm: { token: 'a', fid: 'b' } }, 'fcm'],
  [{ fcm: { token: '' } }, 'fcm.token'],
  [{ fcm: { token: 7 } }, 'fcm.token'],
  [{ fcm: { token: 'a b' } }, 'fcm.token'],
  [{ fcm: { token: 'a\n' } }, 'fcm.token'],
  [{ fcm: { token: 'a'.repeat(4097) } }, 'fcm.token'],
  [{ fcm: { token: 'a', more: 1 } }, 'fcm.more'],
  [{ fcm: { token: 'a' }, platform: 'amiga' }, 'platform'],
  [{ fcm: { token: 'a' }, owner: 'b' }, 'owner'],
  [{ ...web, fcm: { token: 'a' } }, 'fcm'],
  [{ web: null }, 'web'],
  [{ web: { endpoint } }, 'web.keys'],
  [{ web: { endpoint: `${endpoint}${'a'.repeat(2048)}`, keys: { p256dh, auth } } }, 'web.endpoint'],
  [{ web: { endpoint, keys: { p256dh: auth, auth } } }, 'web.keys.p256dh'],
  [{ web: { endpoint, keys: { p256dh, auth: p256dh } } }, 'web.keys.auth'],
  [{ web: { endpoint, keys: { p256dh, auth: `${auth.slice(0, -1)}!` } } }, 'web.keys.auth'],
  [{ web: { endpoint, keys: { p256dh, auth: Buffer.alloc(15).toString('base64url') } } }, 'web.keys.auth'],
])('refuses %j', (input, field) => {
  expect(() => read(input)).toThrow(expect.objectContaining({ code: 'FIELD_INVALID', field }));
});

test('no message repeats what was sent', () => {
  const secret = 'CANARY é';
  for (const input of [{ fcm: { token: secret } }, { web: { endpoint: secret, keys: {} } }, { fcm: { token: 'a' }, platform: secret }]) {
    expect(() => read(input)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('CANARY') }));
  }
});

test.each([
  'http://push.example/a',
  'ftp://push.example/a',
  'https://user@push.example/a',
  'https://:pass@push.example/a',
  'https://localhost/a',
  'https://LOCALHOST./a',
  'https://app.localhost/a',
  'https://redis/a',
  'https://redis./a',
  'https://127.0.0.1/a',
  'https://127.1/a',
  'https://2130706433/a',
  'https://0x7f000001/a',
  'https://0177.0.0.1/a',
  'https://169.254.169.254./a',
  'https://8.8.8.8/a',
  'https://[::1]/a',
  'https://[::ffff:127.0.0.1]/a',
  'https://[fe80::1]/a',
  'https://①②⑦.0.0.1/a',
  'https://metadata.google.internal/a',
  'https://printer.local/a',
  'https://printer.home.arpa/a',
])('no endpoint: %s', (url) => {
  expect(isPublicEndpoint(new URL(url))).toBe(false);
});

test.each([
  'https://fcm.googleapis.com/fcm/send/abc',
  'https://updates.push.services.mozilla.com/wpush/v2/abc',
  'https://web.push.apple.com/abc',
  'https://wns2-par02p.notify.windows.com/w/?token=abc',
])('an endpoint: %s', (url) => {
  expect(isPublicEndpoint(new URL(url))).toBe(true);
});

test('what may be an endpoint can be told otherwise', () => {
  const local = { web: { endpoint: 'http://localhost:4000/a', keys: { p256dh, auth } } };
  expect(() => read(local)).toThrow(expect.objectContaining({ field: 'web.endpoint' }));
  expect(readRegistration(local, ({ hostname }) => hostname === 'localhost').kind).toBe('web');
});
