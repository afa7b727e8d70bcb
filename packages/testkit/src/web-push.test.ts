import { createECDH, createPrivateKey, sign } from 'node:crypto';
import { request } from 'node:https';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { redirectHosts } from './redirect.js';
import { startWebPush, type WebPushStandIn, type WebPushSubscription } from './web-push.js';

const ece = createRequire(import.meta.url)('http_ece') as { encrypt(body: Buffer, params: object): Buffer };
const site = createECDH('prime256v1');
const sitePublic = site.generateKeys();
let service: WebPushStandIn;
let undo: () => void;

beforeAll(async () => {
  service = await startWebPush();
  undo = redirectHosts(service.redirects);
});
afterAll(async () => {
  undo();
  await service.close();
});

interface Changes {
  readonly claims?: object;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly padTo?: number;
  readonly key?: Buffer;
  readonly auth?: string;
}

/** Encrypted and signed by hand, so that each part can be wrong. */
function send({ endpoint, keys }: WebPushSubscription, changes: Changes = {}): Promise<number> {
  const salt = Buffer.alloc(16, 1);
  const local = createECDH('prime256v1');
  local.generateKeys();
  const text = Buffer.from(JSON.stringify({ title: 'x'.repeat(changes.padTo ?? 1), tag: 't' }));
  const authSecret = changes.auth ?? keys.auth;
  const body = ece.encrypt(text, {
    version: 'aes128gcm',
    dh: keys.p256dh,
    privateKey: local,
    salt: salt.toString('base64url'),
    authSecret,
    rs: 8192,
  });
  const claims = {
    aud: 'https://push.example.net',
    exp: Math.floor(Date.now() / 1000) + 3600,
    sub: 'mailto:a@b.example',
    ...changes.claims,
  };
  const token = jwt(claims);
  const given = {
    ttl: '60',
    'content-encoding': 'aes128gcm',
    authorization: `vapid t=${token}, k=${(changes.key ?? sitePublic).toString('base64url')}`,
  };
  const headers = Object.fromEntries(Object.entries({ ...given, ...changes.headers }).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >;
  return new Promise((resolve, reject) => {
    const call = request(endpoint, { method: 'POST', headers, agent: false }, (response) => resolve(response.resume().statusCode ?? 0));
    call.on('error', reject);
    call.end(body);
  });
}

function jwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const [x, y] = [sitePublic.subarray(1, 33), sitePublic.subarray(33)].map((half) => half.toString('base64url')) as [string, string];
  const key = createPrivateKey({ key: { kty: 'EC', crv: 'P-256', x, y, d: site.getPrivateKey().toString('base64url') }, format: 'jwk' });
  const signed = `${part({ typ: 'JWT', alg: 'ES256' })}.${part(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const subscribe = () => service.subscribe(sitePublic.toString('base64url'));
const seconds = (ahead: number) => Math.floor(Date.now() / 1000) + ahead;

test('what is right is taken and decrypted', async () => {
  const subscription = subscribe();
  expect(await send(subscription, { headers: { topic: 'one', urgency: 'low' } })).toBe(201);
  expect(service.sent.at(-1)).toMatchObject({ payload: { title: 'x', tag: 't' }, ttl: 60, topic: 'one', urgency: 'low' });
  expect(service.shown(subscription.endpoint).size).toBe(1);
});

test.each<[string, number, Changes]>([
  ['without TTL', 400, { headers: { ttl: undefined } }],
  ['with a topic that is too long', 400, { headers: { topic: 'x'.repeat(33) } }],
  ['with an urgency that is none', 400, { headers: { urgency: 'now' } }],
  ['not encrypted as RFC 8291 wants', 415, { headers: { 'content-encoding': 'aesgcm' } }],
  ['too large', 413, { padTo: 4096 }],
  ['unsigned', 401, { headers: { authorization: undefined } }],
  ['signed with another key than it names', 401, { key: createECDH('prime256v1').generateKeys() }],
  ['signed for another service', 401, { claims: { aud: 'https://other.example.net' } }],
  ['signed too long ago', 401, { claims: { exp: seconds(-10) } }],
  ['signed for too long', 401, { claims: { exp: seconds(25 * 3600) } }],
  ['without a contact', 401, { claims: { sub: undefined } }],
  ['encrypted for somebody else', 400, { auth: Buffer.alloc(16, 9).toString('base64url') }],
])('what is %s is refused with %i', async (_, status, changes) => {
  const before = service.sent.length;
  expect(await send(subscribe(), changes)).toBe(status);
  expect(service.sent).toHaveLength(before);
});

test('what is signed by another site than was subscribed to is refused', async () => {
  const other = createECDH('prime256v1').generateKeys().toString('base64url');
  expect(await send(service.subscribe(other))).toBe(403);
});

test('who is gone is gone, and who never was, too', async () => {
  const subscription = subscribe();
  service.unsubscribe([subscription.endpoint]);
  expect(await send(subscription)).toBe(410);
  expect(await send({ ...subscription, endpoint: `${subscription.endpoint}x` })).toBe(404);
});
