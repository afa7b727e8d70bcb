import { expect, test } from '@jest/globals';
import { createApiKeys, createTokenIssuer, createTokenVerifier, isRevoked } from './index.js';
import { badTokens, tokenByHand } from './testing.js';

const jwtSecret = 'a secret of thirty-two bytes or more';
const now = () => Math.floor(Date.now() / 1000);
const good = () => ({ sub: 'auth0|anna', exp: now() + 60 });
const token = (payload: unknown, header: Record<string, unknown> = {}, secret = jwtSecret) => tokenByHand(payload, header, secret);
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

/** The code a token is refused with. */
const refusalOf = (of: Pick<typeof verifier, 'verify'>, bad: string) =>
  of.verify(bad).then(
    () => 'accepted',
    (error) => error.code,
  );

test('bad tokens of many kinds are refused', async () => {
  const bad = await badTokens(jwtSecret);
  expect(new Set(bad.map(({ name }) => name)).size).toBeGreaterThanOrEqual(25);
  for (const { name, token, code } of bad) expect([name, await refusalOf(verifier, token)]).toEqual([name, code]);
  expect(await refusalOf(verifier, token(good()))).toBe('accepted');
});

test.each<[string, unknown]>([
  ['nothing', ''],
  ['a number', 5],
  ['no value', undefined],
])('refuses %s', async (_, value) => {
  expect(await refusalOf(verifier, value as string)).toBe('TOKEN_INVALID');
});

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
