import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TEST_AUDIENCE, TEST_ISSUER, TestIssuer } from '@carillon/access/testing';
import { makeCertificate, spawnProcess, startRedis, TestClient, type TestRedis } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { apiKey, ask, end, endings, environmentOf, startRole, tokenFor } from './system.js';

let redis: TestRedis;
const issuer = new TestIssuer();
const afterwards = endings('all');
beforeAll(async () => {
  redis = await startRedis();
  afterwards(() => redis.stop());
  await issuer.open();
  afterwards(() => issuer.close());
});
afterAll(() => undefined);
const later = endings();

/** Settings of an installation whose tokens come from an issuer alone. */
const byIssuer = () => ({
  NOTIFICATION_JWT_SECRET: '',
  NOTIFICATION_JWKS_URL: issuer.url,
  NOTIFICATION_JWT_ISSUER: TEST_ISSUER,
  NOTIFICATION_JWT_AUDIENCE: TEST_AUDIENCE,
});

test('a gateway without a secret takes the access tokens of the issuer, and no others', async () => {
  const signer = await issuer.add('k1');
  const gateway = startRole('gateway', { redisUrl: redis.url }, byIssuer());
  later(() => end(gateway));
  const line = await gateway.ready(/"port":(\d+)[^\n]*gateway listening/);
  const open = async (token: string) => {
    const client = await TestClient.connect(`ws://127.0.0.1:${line[1]}`);
    later(() => client.close());
    return { client, answer: await client.authenticate(token) };
  };
  expect((await open(await signer.sign())).answer).toMatchObject({ type: 'authenticated', data: { userId: 'auth0|anna' } });
  for (const token of [await tokenFor('mallory'), await signer.sign({ aud: 'another' }), await signer.sign({}, { kid: 'k9' })]) {
    const { client, answer } = await open(token);
    expect(answer).toMatchObject({ type: 'error', code: 'TOKEN_INVALID' });
    expect((await client.closed).code).toBe(3500);
  }
});

test('an API without a secret takes them too, and signs none', async () => {
  const signer = await issuer.add('k2', 'ES256');
  const main = fileURLToPath(new URL('../dist/api.js', import.meta.url));
  const api = spawnProcess(main, { env: { ...environmentOf({ redisUrl: redis.url }), ...byIssuer() } });
  later(() => end(api));
  const [, port] = await api.ready(/"port":(\d+)[^\n]*api listening/);
  const url = `http://127.0.0.1:${port}`;
  const own = await ask(`${url}/v1/me/unread-count`, 'GET', undefined, { authorization: `Bearer ${await signer.sign()}` });
  expect([own.status, own.body]).toEqual([200, { unreadCount: 0 }]);
  expect((await ask(`${url}/v1/tokens`, 'POST', { userId: 'ann' })).body).toMatchObject({ status: 501, code: 'TOKENS_NOT_CONFIGURED' });
});

test('a gateway with neither does not start, and names both', async () => {
  const gateway = startRole('gateway', { redisUrl: redis.url }, { NOTIFICATION_JWT_SECRET: '' });
  later(() => end(gateway));
  await gateway.ready(/NOTIFICATION_JWT_SECRET or NOTIFICATION_JWKS_URL: is required/);
});

test('with a certificate all of it is https and wss, and tokens come with the address that is known outside', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-e2e-tls-'));
  later(() => rmSync(folder, { recursive: true, force: true }));
  const { cert, key } = makeCertificate(['localhost']);
  writeFileSync(join(folder, 'tls.crt'), cert);
  writeFileSync(join(folder, 'tls.key'), key);
  const outside = 'wss://notify.clinic.example/socket';
  const standalone = startRole(
    'standalone',
    { redisUrl: redis.url },
    {
      NOTIFICATION_TLS_CERT: join(folder, 'tls.crt'),
      NOTIFICATION_TLS_KEY: join(folder, 'tls.key'),
      NOTIFICATION_PUBLIC_SOCKET_URL: outside,
    },
  );
  later(() => end(standalone));
  const [, url] = await standalone.ready(/^api: +(https:\/\/localhost:\d+)$/m);
  await standalone.ready(/^gateway: +wss:\/\/localhost:\d+$/m);
  const answer = await new Promise<string>((resolve, reject) => {
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' };
    const asked = request(`${url}/v1/tokens`, { method: 'POST', ca: cert, headers }, async (response) => {
      let text = '';
      for await (const part of response) text += part;
      resolve(text);
    });
    asked.once('error', reject).end(JSON.stringify({ userId: 'ann' }));
  });
  expect(JSON.parse(answer)).toMatchObject({ token: expect.any(String), url: outside });
});
