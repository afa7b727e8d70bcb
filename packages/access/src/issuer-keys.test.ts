import type { CarillonError } from '@carillon/contracts';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { exportSPKI, type JWK } from 'jose';
import { createTokenVerifier, type TokenVerifierOptions } from './index.js';
import { badTokens, TEST_ISSUER, TestIssuer, testSigner, tokenByHand } from './testing.js';

const MINUTE = 60_000;
const jwtSecret = 'a secret of thirty-two bytes or more';
const auth0 = TEST_ISSUER;

let issuer: TestIssuer;
beforeEach(async () => {
  issuer = new TestIssuer();
  await issuer.open();
});
afterEach(async () => {
  jest.useRealTimers();
  await issuer.close();
});

const bound = { issuer: auth0, audience: 'https://notify.clinic.example' };
const verifierOf = (more: TokenVerifierOptions = {}) => createTokenVerifier({ jwksUrl: issuer.url, ...bound, ...more });
const outcome = (verifier: ReturnType<typeof verifierOf>, token: string) =>
  verifier.verify(token).then(
    () => 'accepted',
    (error: CarillonError) => error.code,
  );
/** Moves the clock; timers run on. */
function wait(ms: number): void {
  jest.useFakeTimers({
    now: Date.now() + ms,
    doNotFake: [
      'setTimeout',
      'setInterval',
      'setImmediate',
      'clearTimeout',
      'clearInterval',
      'clearImmediate',
      'nextTick',
      'queueMicrotask',
      'performance',
      'hrtime',
    ],
  });
}

test.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
  'an ordinary access token passes, signed with %s; the keys are fetched once',
  async (alg) => {
    const signer = await issuer.add('k1', alg);
    await issuer.add('k2', alg);
    const verifier = verifierOf();
    const verified = await Promise.all(
      [{}, { typ: 'at+jwt' }, { typ: 'application/at+jwt' }, { typ: undefined }].map(async (header) =>
        verifier.verify(await signer.sign({}, header)),
      ),
    );
    for (const one of verified) expect(one).toEqual({ userId: 'auth0|anna', expiresAt: expect.any(Number), issuedAt: expect.any(Number) });
    expect(issuer.asked).toBe(1);
  },
);

test('issuer, audience, lifetime and kind of an issuer’s token bind', async () => {
  const signer = await issuer.add('k1');
  const verifier = verifierOf();
  const refused: [object, object, string][] = [
    [{ iss: auth0.slice(0, -1) }, {}, 'TOKEN_INVALID'],
    [{ aud: [`${auth0}userinfo`] }, {}, 'TOKEN_INVALID'],
    [{ exp: Math.floor(Date.now() / 1000) - 1 }, {}, 'TOKEN_EXPIRED'],
    [{ exp: undefined }, {}, 'TOKEN_INVALID'],
    [{ sub: undefined }, {}, 'TOKEN_INVALID'],
    [{ nbf: Math.floor(Date.now() / 1000) + 60 }, {}, 'TOKEN_INVALID'],
    [{}, { typ: 'logout+jwt' }, 'TOKEN_INVALID'],
    [{}, { typ: 'dpop+jwt' }, 'TOKEN_INVALID'],
    [{}, { kid: 'k9' }, 'TOKEN_INVALID'],
    [{}, { kid: 7 }, 'TOKEN_INVALID'],
    [{}, { kid: '../k1' }, 'TOKEN_INVALID'],
  ];
  for (const [claims, header, code] of refused)
    expect([claims, header, await outcome(verifier, await signer.sign(claims, header))]).toEqual([claims, header, code]);
  expect(await outcome(verifier, await signer.sign())).toBe('accepted');
});

test('a public key is no secret, and a token brings no keys', async () => {
  const signer = await issuer.add('k1');
  const mine = await testSigner('k1', 'RS256');
  const stranger = new TestIssuer();
  await stranger.open();
  stranger.keys = [mine.jwk];
  const claims = { sub: 'mallory', exp: Math.floor(Date.now() / 1000) + 60, iss: auth0, aud: bound.audience };
  const pem = await exportSPKI(signer.publicKey);
  const forged = [
    ...[pem, pem.trim(), JSON.stringify(signer.jwk), Buffer.from(signer.jwk.n as string, 'base64url')].flatMap((secret) =>
      ['HS256', 'HS512', 'RS256'].map((alg) => tokenByHand(claims, { alg, kid: 'k1' }, secret)),
    ),
    tokenByHand(claims, { alg: 'none', kid: 'k1' }, ''),
    await mine.sign({}, { jwk: mine.jwk }),
    await mine.sign({}, { jku: stranger.url }),
    await mine.sign({}, { x5u: stranger.url, kid: stranger.url }),
  ];
  for (const verifier of [verifierOf(), verifierOf({ jwtSecret })])
    for (const token of forged) expect(await outcome(verifier, token)).toBe('TOKEN_INVALID');
  expect(stranger.asked).toBe(0);
  await stranger.close();
});

test('secret and issuer stand beside each other, and each refuses what is bad', async () => {
  const signer = await issuer.add('k1');
  const both = createTokenVerifier({ jwtSecret, jwksUrl: issuer.url });
  expect(await outcome(both, await signer.sign())).toBe('accepted');
  expect(await outcome(both, tokenByHand({ sub: 'u', exp: Math.floor(Date.now() / 1000) + 60 }, {}, jwtSecret))).toBe('accepted');
  for (const { name, token, code } of await badTokens(jwtSecret)) expect([name, await outcome(both, token)]).toEqual([name, code]);
  const bySecret = createTokenVerifier({ jwtSecret });
  expect(await outcome(bySecret, await signer.sign())).toBe('TOKEN_INVALID');
  for (const { token } of await badTokens(jwtSecret)) expect(await outcome(verifierOf(), token)).toMatch(/^TOKEN_INVALID$/);
});

test('a new key is found at once after the pause, a flood of unknown keys asks once in it', async () => {
  const old = await issuer.add('k1');
  const verifier = verifierOf();
  expect(await outcome(verifier, await old.sign())).toBe('accepted');
  wait(31_000);
  const fresh = await issuer.add('k2');
  expect(await outcome(verifier, await fresh.sign())).toBe('accepted');
  const asked = issuer.asked;
  const unknown = await Promise.all(Array.from({ length: 50 }, (_, i) => fresh.sign({}, { kid: `no ${i}` })));
  expect(new Set(await Promise.all(unknown.map((token) => outcome(verifier, token))))).toEqual(new Set(['TOKEN_INVALID']));
  expect(issuer.asked).toBe(asked);
  wait(31_000);
  expect(new Set(await Promise.all(unknown.map((token) => outcome(verifier, token))))).toEqual(new Set(['TOKEN_INVALID']));
  expect(issuer.asked).toBe(asked + 1);
});

test('a withdrawn key counts no more within ten minutes, however often its token comes', async () => {
  const signer = await issuer.add('k1');
  await issuer.add('k2');
  const verifier = verifierOf();
  const token = await signer.sign();
  const first = await verifier.verify(token);
  issuer.keys.shift();
  wait(4 * MINUTE);
  expect(await verifier.verify(token)).toBe(first);
  wait(2 * MINUTE);
  expect(await outcome(verifier, token)).toBe('TOKEN_INVALID');
  expect(await outcome(verifier, token)).toBe('TOKEN_INVALID');
});

test('a token that is verified again stays what it was', async () => {
  const signer = await issuer.add('k1');
  const verifier = verifierOf();
  const token = await signer.sign({ iat: Math.floor(Date.now() / 1000) + 50 });
  const first = await verifier.verify(token);
  wait(6 * MINUTE);
  expect(await verifier.verify(token)).toEqual(first);
  expect(issuer.asked).toBe(2);
});

/** A promise that is kept by calling `release`. */
function gate() {
  let release: () => void = () => {};
  const until = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { until, release: () => release() };
}

test('keys that are used are fetched anew without anybody waiting', async () => {
  const signer = await issuer.add('k1');
  const verifier = verifierOf();
  await verifier.verify(await signer.sign());
  wait(4.5 * MINUTE);
  const { until, release } = gate();
  const fresh = await issuer.add('k2');
  issuer.answer = (keys) => ({ body: JSON.stringify({ keys }), until });
  expect(await outcome(verifier, await signer.sign({ sub: 'a' }))).toBe('accepted');
  const late = verifier.verify(await fresh.sign());
  release();
  await expect(late).resolves.toMatchObject({ userId: 'auth0|anna' });
  expect(issuer.asked).toBe(2);
});

test('an issuer that is away at the start is no fault of the token; it is asked again after a pause', async () => {
  const signer = await issuer.add('k1');
  const told: string[] = [];
  const verifier = verifierOf({ keysUnavailable: ({ code }) => void told.push(code) });
  const token = await signer.sign();
  await issuer.close();
  expect(await outcome(verifier, token)).toBe('TOKEN_KEYS_UNAVAILABLE');
  expect(await outcome(verifier, token)).toBe('TOKEN_KEYS_UNAVAILABLE');
  expect(told).toEqual(['TOKEN_KEYS_UNAVAILABLE']);
  await issuer.open();
  wait(5001);
  expect(await outcome(verifier, token)).toBe('accepted');
});

test('an issuer that goes away later leaves its last known keys for a day; a key that may be new is no fault', async () => {
  const signer = await issuer.add('k1');
  const verifier = verifierOf();
  await verifier.verify(await signer.sign({ exp: 9_999_999_999 }));
  await issuer.close();
  wait(23 * 60 * MINUTE);
  const late = { exp: 9_999_999_999 };
  expect(await outcome(verifier, await signer.sign({ ...late, sub: 'late' }))).toBe('accepted');
  expect(await outcome(verifier, await signer.sign(late, { kid: 'k2' }))).toBe('TOKEN_KEYS_UNAVAILABLE');
  wait(2 * 60 * MINUTE);
  expect(await outcome(verifier, await signer.sign({ ...late, sub: 'later' }))).toBe('TOKEN_KEYS_UNAVAILABLE');
  await issuer.open();
  wait(5001);
  expect(await outcome(verifier, await signer.sign({ ...late, sub: 'later' }))).toBe('accepted');
});

test('an issuer that hangs holds up one caller, and no other one', async () => {
  const signer = await issuer.add('k1');
  const verifier = verifierOf();
  await verifier.verify(await signer.sign());
  const { until, release } = gate();
  issuer.answer = () => ({ body: '', until });
  wait(6 * MINUTE);
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((sub) => signer.sign({ sub })));
  expect(await outcome(verifier, a as string)).toBe('accepted');
  const before = performance.now();
  expect(await outcome(verifier, b as string)).toBe('accepted');
  wait(10_000);
  expect(await outcome(verifier, c as string)).toBe('accepted');
  expect(performance.now() - before).toBeLessThan(2000);
  release();
});

test.each<[string, (keys: JWK[]) => { status?: number; body: string | Buffer; headers?: Record<string, string> }]>([
  ['an error', () => ({ status: 500, body: '{}' })],
  ['a page', () => ({ body: '<html>' })],
  ['an empty body', () => ({ body: '' })],
  ['no set', () => ({ body: '{"keys":7}' })],
  ['a set of no keys', () => ({ body: '{"keys":[1,null]}' })],
  ['a set that is too large', (keys) => ({ body: JSON.stringify({ keys, pad: 'x'.repeat(300 * 1024) }) })],
  ['a redirect', () => ({ status: 302, body: '', headers: { location: '/elsewhere' } })],
])('an issuer that answers with %s is as good as away: the last known keys stay', async (_, answer) => {
  const signer = await issuer.add('k1');
  issuer.answer = answer;
  const verifier = verifierOf();
  expect(await outcome(verifier, await signer.sign())).toBe('TOKEN_KEYS_UNAVAILABLE');
  issuer.answer = undefined;
  wait(5001);
  expect(await outcome(verifier, await signer.sign())).toBe('accepted');
  issuer.answer = answer;
  wait(6 * MINUTE);
  expect(await outcome(verifier, await signer.sign({ sub: 'other' }))).toBe('accepted');
  expect(issuer.asked).toBe(3);
});

test('a token that names no key passes where only one fits; keys that cannot be used spoil no others', async () => {
  const signer = await issuer.add('k1');
  issuer.keys.push(
    { kty: 'oct', k: 'c2VjcmV0', kid: 'k1', alg: 'HS256' },
    { kty: 'RSA', kid: 'bad', n: '!', e: 'AQAB' },
    { kty: 'what', kid: 'k1' },
  );
  expect(await outcome(verifierOf(), await signer.sign())).toBe('accepted');
  expect(await outcome(verifierOf(), await signer.sign({}, { kid: 'bad' }))).toBe('TOKEN_INVALID');
  issuer.keys = [signer.jwk];
  expect(await outcome(verifierOf(), await signer.sign({}, { kid: undefined }))).toBe('accepted');
  await issuer.add('k2');
  expect(await outcome(verifierOf(), await signer.sign({}, { kid: undefined }))).toBe('TOKEN_INVALID');
});
