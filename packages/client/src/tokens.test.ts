import { expect, test } from '@jest/globals';
import { whoseToken } from './tokens.js';

const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const tokenOf = (claims: object) => `${base64({ alg: 'HS256' })}.${base64(claims)}.c2ln`;
const person = { iss: 'https://login.example/', sub: 'auth0|1', aud: 'api', azp: 'app', email: 'a@clinic.example', tenant: 't' };
// Those of Keycloak, Cognito and Entra among them.
const login = {
  iat: 1,
  exp: 2,
  nbf: 1,
  jti: 'a',
  sid: 's',
  auth_time: 1,
  nonce: 'n',
  at_hash: 'h',
  amr: ['pwd'],
  acr: '1',
  scope: 'openid',
  session_state: 's',
  origin_jti: 'o',
  event_id: 'e',
  uti: 'u',
  aio: 'a',
  rh: 'r',
};

test('two logins of one person have one storage and one lead', () => {
  const whose = whoseToken(tokenOf({ ...person, ...login }));
  expect(whose).not.toBe('');
  expect(whoseToken(tokenOf(person))).toBe(whose);
  for (const name of Object.keys(login))
    expect([name, whoseToken(tokenOf({ ...person, ...login, [name]: 'other' }))]).toEqual([name, whose]);
});

test('whatever else differs is another user’s', () => {
  const whose = whoseToken(tokenOf({ ...person, ...login }));
  for (const name of [...Object.keys(person), 'oid', 'uid', 'https://clinic.example/patient']) {
    expect([name, whoseToken(tokenOf({ ...person, ...login, [name]: 'other' })) === whose]).toEqual([name, false]);
  }
});

test('a token that names nobody is nobody’s', () => {
  for (const token of ['', 'opaque', 'a.b.c', tokenOf({}), tokenOf(login)]) expect([token, whoseToken(token)]).toEqual([token, '']);
});
