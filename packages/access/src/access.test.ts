import { createHmac } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createApiKeys, createTokenIssuer, createTokenVerifier, isRevoked } from './index.js';

const jwtSecret = 'a secret of thirty-two bytes or more';
const now = () => Math.floor(Date.now() / 1000);
const base64url = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token made by hand, so that what jose would refuse to make can be tried too. */
function token(payload: Record<string, unknown>, header: Record<string, unknown> = {}, secret = jwtSecret): string {
  const alg = header.alg ?? 'HS256';
  const signed = `${base64url({ alg: 'HS256', typ: 'JWT', ...header })}.${base64url(payload)}`;
  if (alg === 'none') return `${signed}.`;
  return `${signed}.${createHmac(alg === 'HS512' ? 'sha512' : 'sha256', secret)
    .update(signed)
    .digest('base64url')}`;
}
const good = () => ({ sub: 'auth0|anna', exp: now() + 60 });
const verifier = createTokenVerifier({ jwtSecret });

test('an ordinary access token with further claims passes', async () => {
  const claims = { ...good(), iss: 'https://tenant.example/', aud: ['a', 'b'], azp: 'x', scope: 'openid', iat: now(), permissions: [] };
  await expect(verifier.verify(token(claims, { typ: 'at+jwt', kid: 'k' }))).resolves.toEqual({
    userId: 'auth0|anna',
    expiresAt: claims.exp * 1000,
    issuedAt: claims.iat * 1000,
  });
});

test('a fractional exp is kept to the millisecond', async () => {
  const exp = now() + 60.25;
  await expect(verifier.verify(token({ sub: 'u', exp }))).resolves.toEqual({ userId: 'u', expiresAt: Math.floor(exp * 1000) });
});

test('a fractional iat is kept to the millisecond, one far ahead is not believed', async () => {
  const at = Date.now() - 5;
  await expect(verifier.verify(token({ ...good(), iat: at / 1000 }))).resolves.toMatchObject({ issuedAt: at });
  await expect(verifier.verify(token(good()))).resolves.not.toHaveProperty('issuedAt');
  await expect(verifier.verify(token({ ...good(), iat: now() + 3600 }))).resolves.not.toHaveProperty('issuedAt');
});

test('a token that is dated ahead was issued, at the latest, when it was seen first', async () => {
  const ahead = token({ ...good(), iat: now() + 50 });
  const before = Date.now();
  const first = await verifier.verify(ahead);
  expect(first.issuedAt).toBeGreaterThanOrEqual(before);
  expect(first.issuedAt).toBeLessThanOrEqual(Date.now());
  const revokedAt = Date.now() + 1;
  while (Date.now() < revokedAt) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(isRevoked(await verifier.verify(ahead), revokedAt)).toBe(true);
});

test.each<[string, number | undefined, number, boolean]>([
  ['any token of a user who never had one revoked', 5, 0, false],
  ['one without a time, of such a user', undefined, 0, false],
  ['one from before', 999, 1000, true],
  ['one from that moment', 1000, 1000, false],
  ['one without a time', undefined, 1000, true],
])('revoked: %s', (_, issuedAt, since, revoked) => {
  expect(isRevoked({ ...(issuedAt !== undefined && { issuedAt }) }, since)).toBe(revoked);
});

test.each<[string, () => string, string]>([
  ['expired', () => token({ ...good(), exp: now() - 1 }), 'TOKEN_EXPIRED'],
  ['expired this very second', () => token({ ...good(), exp: now() }), 'TOKEN_EXPIRED'],
  ['expired and wrongly signed', () => token({ ...good(), exp: now() - 1 }, {}, 'other'), 'TOKEN_INVALID'],
  ['missing exp', () => token({ sub: 'u' }), 'TOKEN_INVALID'],
  ['exp as text', () => token({ ...good(), exp: '9999999999' }), 'TOKEN_INVALID'],
  ['exp beyond numbers', () => token({ ...good(), exp: 1e300 }), 'TOKEN_INVALID'],
  ['missing sub', () => token({ exp: now() + 60 }), 'TOKEN_INVALID'],
  ['empty sub', () => token({ ...good(), sub: '' }), 'TOKEN_INVALID'],
  ['sub with control characters', () => token({ ...good(), sub: 'a\nb' }), 'TOKEN_INVALID'],
  ['sub of 257 characters', () => token({ ...good(), sub: 'a'.repeat(257) }), 'TOKEN_INVALID'],
  ['sub that is a number', () => token({ ...good(), sub: 7 }), 'TOKEN_INVALID'],
  ['alg none', () => token(good(), { alg: 'none' }), 'TOKEN_INVALID'],
  ['HS512', () => token(good(), { alg: 'HS512' }), 'TOKEN_INVALID'],
  ['another secret', () => token(good(), {}, 'another'), 'TOKEN_INVALID'],
  ['unknown crit', () => token(good(), { crit: ['x'], x: 1 }), 'TOKEN_INVALID'],
  ['future nbf', () => token({ ...good(), nbf: now() + 30 }), 'TOKEN_INVALID'],
  ['9 kB of garbage', () => 'x'.repeat(9 * 1024), 'TOKEN_INVALID'],
  ['9 kB, well signed', () => token({ ...good(), pad: 'x'.repeat(9 * 1024) }), 'TOKEN_INVALID'],
  ['a flipped signature', () => flip(token(good())), 'TOKEN_INVALID'],
  ['a swapped payload', () => swap(token(good()), { ...good(), sub: 'mallory' }), 'TOKEN_INVALID'],
  ['a payload that is no object', () => token([] as never), 'TOKEN_INVALID'],
  ['an injected jwk', () => injected(), 'TOKEN_INVALID'],
  ['nothing', () => '', 'TOKEN_INVALID'],
  ['two dots', () => '..', 'TOKEN_INVALID'],
  ['no text', () => 5 as never, 'TOKEN_INVALID'],
])('refuses %s', async (_, make, code) => {
  await expect(verifier.verify(make())).rejects.toMatchObject({ name: 'CarillonError', code });
});

const flip = (text: string) => text.slice(0, -2) + (text.at(-2) === 'A' ? 'B' : 'A') + text.slice(-1);
function swap(text: string, payload: unknown): string {
  const [header, , signature] = text.split('.');
  return `${header}.${base64url(payload)}.${signature}`;
}
const injected = () => token(good(), { jwk: { kty: 'oct', k: base64url('mine'), alg: 'HS256' } }, 'mine');

test('issuer and audience bind once they are set', async () => {
  const strict = createTokenVerifier({ jwtSecret, issuer: 'us', audience: 'carillon' });
  await expect(strict.verify(token({ ...good(), iss: 'us', aud: ['x', 'carillon'] }))).resolves.toMatchObject({ userId: 'auth0|anna' });
  for (const claims of [{}, { iss: 'us' }, { aud: 'carillon' }, { iss: 'them', aud: 'carillon' }, { iss: 'us', aud: 'other' }]) {
    await expect(strict.verify(token({ ...good(), ...claims }))).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  }
});

test('the user may stand in another claim', async () => {
  const named = createTokenVerifier({ jwtSecret, userClaim: 'https://clinic.example/user' });
  await expect(named.verify(token({ 'https://clinic.example/user': 'u7', exp: now() + 5 }))).resolves.toMatchObject({ userId: 'u7' });
  await expect(named.verify(token(good()))).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
});

test('without a secret every token is refused; an empty secret is a wrong setting', async () => {
  await expect(createTokenVerifier({}).verify(token(good()))).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  expect(() => createTokenVerifier({ jwtSecret: '' })).toThrow(expect.objectContaining({ code: 'CONFIGURATION_INVALID' }));
});

test('a remembered token is refused from the moment it expires', async () => {
  const exp = (Date.now() + 150) / 1000;
  const brief = token({ sub: 'u', exp });
  await expect(verifier.verify(brief)).resolves.toMatchObject({ userId: 'u' });
  while (Date.now() < exp * 1000) await new Promise((resolve) => setTimeout(resolve, 5));
  await expect(verifier.verify(brief)).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
});

test('what is issued verifies', async () => {
  const options = { jwtSecret, issuer: 'us', audience: 'carillon', userClaim: 'uid' };
  const before = Date.now();
  const issued = await createTokenIssuer(options).issue('auth0|ö', 5);
  expect(issued.expiresAt).toBeGreaterThanOrEqual(before + 5000);
  expect(issued.expiresAt).toBeLessThan(Date.now() + 6000);
  const verified = await createTokenVerifier(options).verify(issued.token);
  expect(verified).toEqual({ userId: 'auth0|ö', expiresAt: issued.expiresAt, issuedAt: expect.any(Number) });
  expect(verified.issuedAt).toBeGreaterThanOrEqual(before);
  expect(verified.issuedAt).toBeLessThanOrEqual(Date.now());
});

test.each([0, -1, 1.5, Number.NaN, 30 * 24 * 3600 + 1])('a life of %p seconds is refused', async (ttl) => {
  await expect(createTokenIssuer({ jwtSecret }).issue('u', ttl)).rejects.toMatchObject({ code: 'FIELD_INVALID', field: 'ttlSeconds' });
});

test('API keys are found by the bearer token after the last colon', () => {
  const keys = createApiKeys('backend:k1, ops:eu[read+admin]:k2,sender[send]:k3');
  expect(keys.find('k1')).toMatchObject({ name: 'backend', scopes: ['send', 'read', 'admin'] });
  expect(keys.find('k2')).toMatchObject({ name: 'ops:eu', scopes: ['read', 'admin'] });
  expect(keys.find('k3')).toMatchObject({ name: 'sender', scopes: ['send'] });
  for (const wrong of ['', 'k', 'k11', 'backend:k1', 'backend']) expect(keys.find(wrong)).toBeUndefined();
});

test('two keys of one name are the same caller, each with its own scopes, until one is taken out', () => {
  const both = createApiKeys('backend[send]:old,other:x,backend:new');
  const [old, fresh] = [both.find('old'), both.find('new')];
  expect(old).toMatchObject({ name: 'backend', scopes: ['send'] });
  expect(fresh).toMatchObject({ name: 'backend', scopes: ['send', 'read', 'admin'] });
  expect(both.recall(old?.digest ?? '')).toEqual(old);
  const after = createApiKeys('backend:new');
  expect(after.find('old')).toBeUndefined();
  expect(after.recall(old?.digest ?? '')).toBeUndefined();
  expect(after.recall(fresh?.digest ?? '')).toEqual(fresh);
});

test.each([
  '',
  'sekret',
  'a:',
  ':sekret',
  'a:sekret,',
  'a:sekret,a:sekret2,a:sekret3',
  'a:sekret,b:sekret',
  'a[all]:sekret',
  'a[]:sekret',
  'a b:sekret',
  'a:sek ret',
])('refuses the setting %p without repeating a key', (spec) => {
  let thrown: unknown;
  try {
    createApiKeys(spec);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'CONFIGURATION_INVALID', field: 'NOTIFICATION_API_KEYS' });
  expect((thrown as Error).message).not.toContain('sek');
});
