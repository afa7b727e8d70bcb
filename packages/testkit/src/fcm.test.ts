import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import http2 from 'node:http2';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type FcmStandIn, startFcm } from './fcm.js';
import { redirectHosts } from './redirect.js';

let fcm: FcmStandIn;
let undo: () => void;

beforeEach(async () => {
  fcm = await startFcm();
  undo = redirectHosts(fcm.redirects);
});
afterEach(async () => {
  undo();
  await fcm.close();
});

async function token(changes: object = {}, key?: KeyObject): Promise<{ status: number; token?: string }> {
  const account = JSON.parse(fcm.serviceAccount) as { client_email: string; private_key: string; token_uri: string };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: account.client_email, aud: account.token_uri, exp: Math.floor(Date.now() / 1000) + 3600, ...changes };
  const signed = `${part({ alg: 'RS256' })}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), key ?? createPrivateKey(account.private_key)).toString('base64url');
  const response = await fetch('https://oauth2.googleapis.com/token', {
    method: 'POST',
    headers: { connection: 'close' },
    body: new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: `${signed}.${signature}` }),
  });
  const { access_token } = (await response.json()) as { access_token?: string };
  return { status: response.status, ...(access_token !== undefined && { token: access_token }) };
}

async function send(
  message: object,
  bearer?: string,
  project = fcm.projectId,
): Promise<{ status: number; body: { name?: string; error?: { details?: object[] } } }> {
  const authorization = `Bearer ${bearer ?? (await token()).token}`;
  const response = await fetch(`https://fcm.googleapis.com/v1/projects/${project}/messages:send`, {
    method: 'POST',
    headers: { authorization, connection: 'close' },
    body: JSON.stringify({ message }),
  });
  return { status: response.status, body: (await response.json()) as { name?: string } };
}

test('an access token is given for an assertion of the account only', async () => {
  expect((await token()).status).toBe(200);
  expect((await token({}, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)).status).toBe(400);
  expect((await token({ iss: 'other@example.com' })).status).toBe(400);
  expect((await token({ aud: 'https://other.example.com' })).status).toBe(400);
  expect((await token({ exp: 1 })).status).toBe(400);
  expect(fcm.tokens()).toBe(1);
});

test('a message is taken with an access token, of this project', async () => {
  const { status, body } = await send({ token: 'a', notification: { title: 't' } });
  expect([status, body.name]).toEqual([200, fcm.sent[0]?.id]);
  expect((await send({ token: 'a' }, 'another')).status).toBe(401);
  expect((await send({ token: 'a' }, undefined, 'other')).status).toBe(404);
  expect(fcm.sent).toHaveLength(1);
  expect(fcm.calls()).toBe(3);
});

test.each([
  ['no target', {}, 'message'],
  ['two targets', { token: 'a', fid: 'b' }, 'message'],
  ['an unknown field', { token: 'a', badge: 1 }, 'message.badge'],
  ['data that is no text', { token: 'a', data: { n: 1 } }, 'message.data'],
  ['reserved data', { token: 'a', data: { from: 'x' } }, 'message.data'],
  ['a long collapse id', { token: 'a', apns: { headers: { 'apns-collapse-id': 'ü'.repeat(33) } } }, 'message.apns.headers'],
  ['an unknown priority', { token: 'a', android: { priority: 'urgent' } }, 'message.android.priority'],
  ['a topic that is none', { token: 'a', webpush: { headers: { Topic: 'a b' } } }, 'message.webpush.headers'],
])('%s is refused, and the field told', async (_, message, field) => {
  const { status, body } = await send(message);
  expect(status).toBe(400);
  expect(body.error?.details?.[0]).toMatchObject({ '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [{ field }] });
});

test('4096 bytes are taken and more are not, the target apart', async () => {
  const size = 4096 - JSON.stringify({ data: { a: '' } }).length;
  expect((await send({ token: 'a'.repeat(1000), data: { a: 'x'.repeat(size) } })).status).toBe(200);
  const { status, body } = await send({ token: 'a', data: { a: 'x'.repeat(size + 1) } });
  expect([status, body.error?.details]).toEqual([400, undefined]);
});

test('who is unregistered is told so as FCM tells it, and a token that is none, too', async () => {
  fcm.unregister(['a']);
  const gone = await send({ token: 'a' });
  expect(gone.status).toBe(404);
  expect(gone.body.error?.details).toEqual([{ '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode: 'UNREGISTERED' }]);
  const none = await send({ token: 'not a token' });
  expect(none.status).toBe(400);
  expect(none.body.error?.details).toEqual([
    { '@type': 'type.googleapis.com/google.firebase.fcm.v1.FcmError', errorCode: 'INVALID_ARGUMENT' },
  ]);
});

test('a repeat replaces only if it does on every platform', async () => {
  const tagged = (tag: string) => ({
    android: { notification: { tag } },
    apns: { headers: { 'apns-collapse-id': tag } },
    webpush: { notification: { tag } },
  });
  for (let i = 0; i < 2; i++) await send({ token: 'a', ...tagged('t') });
  expect(fcm.shown('a').size).toBe(1);
  for (let i = 0; i < 2; i++) await send({ token: 'b', ...tagged('t'), apns: {} });
  expect(fcm.shown('b').size).toBe(2);
});

test('sessions of HTTP/2 are counted, once each, whatever is sent in them', async () => {
  const { token: bearer } = await token();
  for (let i = 0; i < 2; i++) {
    const session = http2.connect('https://fcm.googleapis.com');
    await Promise.all(
      Array.from({ length: 50 }, async (_, k) => {
        // As the SDK writes it.
        const stream = session.request({
          ':method': 'POST',
          ':scheme': 'https:',
          ':path': `/v1/projects/${fcm.projectId}/messages:send`,
          authorization: `Bearer ${bearer}`,
        });
        stream.end(JSON.stringify({ message: { token: `device-${k}` } }));
        const status = await new Promise((resolve, reject) =>
          stream.on('response', (headers) => resolve(headers[':status'])).on('error', reject),
        );
        stream.resume();
        expect(status).toBe(200);
      }),
    );
    session.close();
  }
  expect(fcm.sessions()).toBe(2);
  expect(new Set(fcm.sent.map(({ session }) => session)).size).toBe(2);
});
