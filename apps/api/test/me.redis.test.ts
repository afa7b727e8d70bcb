import { createTokenIssuer } from '@carillon/access';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';
async function as(userId: string): Promise<{ authorization: string }> {
  const answer = await running.api.inject({ method: 'POST', url: '/v1/tokens', headers: AUTHORIZED, payload: { userId } });
  return { authorization: `Bearer ${answer.json().token}` };
}
const call = (method: Method, url: string, headers: Record<string, string>, payload?: object) =>
  running.api.inject({ method, url, headers, ...(payload && { payload }) });

test('a user reads and writes their own preferences, and nobody else’s', async () => {
  const [ann, bob] = [await as('auth0|ann'), await as('bob')];
  expect((await call('GET', '/v1/me/preferences', ann)).json()).toEqual({});
  const wishes = { channels: { email: false } };
  const put = await call('PUT', '/v1/me/preferences', ann, wishes);
  expect(put.statusCode).toBe(200);
  expect(put.json()).toEqual(wishes);
  expect((await call('GET', '/v1/me/preferences', ann)).json()).toEqual(wishes);
  expect((await call('GET', '/v1/me/preferences', bob)).json()).toEqual({});
  expect((await call('GET', `/v1/users/${encodeURIComponent('auth0|ann')}/preferences`, AUTHORIZED)).json()).toEqual(wishes);
});

test('a user registers, lists and forgets their own devices, and nobody else’s', async () => {
  const [ann, bob] = [await as('ann'), await as('bob')];
  const { id } = (await call('POST', '/v1/me/devices', ann, { fcm: { fid: 'installation-1' } })).json();
  expect((await call('GET', '/v1/me/devices', ann)).json().data).toMatchObject([{ id, kind: 'fcm' }]);
  expect((await call('GET', '/v1/me/devices', bob)).json().data).toEqual([]);
  expect((await call('DELETE', `/v1/me/devices/${id}`, bob)).json()).toMatchObject({ code: 'DEVICE_NOT_FOUND' });
  expect((await call('GET', '/v1/me/devices', ann)).json().data).toHaveLength(1);
  expect((await call('DELETE', `/v1/me/devices/${id}`, ann)).statusCode).toBe(204);
  expect((await call('GET', '/v1/me/devices', ann)).json().data).toEqual([]);
});

test.each([
  ['PUT', '/v1/me/preferences', { mute: 1 }, 'mute'],
  ['PUT', '/v1/me/preferences', { userId: 'bob' }, 'userId'],
  ['POST', '/v1/me/devices', { fcm: {} }, 'fcm'],
] as const)('%s %s with %j is refused by its field', async (method, url, payload, field) => {
  const answer = await call(method, url, await as('ann'), payload);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', field });
});

test('another’s token, an expired one, an API key and none at all open nothing', async () => {
  const foreign = createTokenIssuer({ jwtSecret: 'another secret of more than thirty-two characters' });
  const { token: forged } = await foreign.issue('ann', 60);
  const [head, , signature] = forged.split('.');
  const unsigned = `${head}.${Buffer.from(JSON.stringify({ sub: 'ann', exp: 4e9 })).toString('base64url')}.${signature}`;
  for (const [headers, code] of [
    [{}, 'TOKEN_INVALID'],
    [{ authorization: `Bearer ${forged}` }, 'TOKEN_INVALID'],
    [{ authorization: `Bearer ${unsigned}` }, 'TOKEN_INVALID'],
    [AUTHORIZED, 'TOKEN_INVALID'],
  ] as [Record<string, string>, string][]) {
    const answer = await call('GET', '/v1/me/preferences', headers);
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(answer.json()).toMatchObject({ code });
  }
  expect(await running.metrics.render()).toMatch(/^carillon_authentication_failures_total\{where="me",code="TOKEN_INVALID"\} 4/m);
});

test('a token that has expired says so', async () => {
  const issuer = createTokenIssuer({ jwtSecret: 'a secret of more than thirty-two characters' });
  const { token, expiresAt } = await issuer.issue('ann', 1);
  await new Promise((resolve) => setTimeout(resolve, expiresAt - Date.now() + 5));
  const answer = await call('GET', '/v1/me/preferences', { authorization: `Bearer ${token}` });
  expect(answer.statusCode).toBe(401);
  expect(answer.json()).toMatchObject({ code: 'TOKEN_EXPIRED' });
});

test('a client token opens nothing that needs an API key', async () => {
  expect((await call('GET', '/v1/users/ann/preferences', await as('ann'))).json()).toMatchObject({ code: 'UNAUTHORIZED' });
});
