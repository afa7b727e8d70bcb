import { createHmac } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export { TEST_AUDIENCE, TEST_ISSUER, TestIssuer, type TestSigner, testSigner } from './test-issuer.js';

/** A token that has to be refused, and with which code. */
export interface BadToken {
  readonly name: string;
  readonly token: string;
  readonly code: 'TOKEN_INVALID' | 'TOKEN_EXPIRED';
}

const base64url = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const seconds = () => Math.floor(Date.now() / 1000);
/** The claims of a good token, for a minute. */
const good = () => ({ sub: 'auth0|anna', exp: seconds() + 60 });

/** A token made by hand, so that what jose would refuse to make can be made too. `secret` may be any bytes. */
export function tokenByHand(payload: unknown, header: Record<string, unknown>, secret: string | Uint8Array): string {
  const full = { alg: 'HS256', typ: 'JWT', ...header };
  const signed = `${base64url(full)}.${base64url(payload)}`;
  if (full.alg === 'none') return `${signed}.`;
  const hash = { HS384: 'sha384', HS512: 'sha512' }[String(full.alg)] ?? 'sha256';
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`;
}

/** Tokens that a verifier with this secret, and no keys of an issuer, has to refuse; each of a kind of its own. Good for a minute. */
export async function badTokens(secret: string): Promise<BadToken[]> {
  const make = (payload: unknown, header: Record<string, unknown> = {}, key: string | Uint8Array = secret) =>
    tokenByHand(payload, header, key);
  const fine = make(good());
  const [head, body, signature] = fine.split('.') as [string, string, string];
  const invalid: Record<string, string> = {
    ...badClaims(make),
    ...badHeaders(make),
    ...(await signedByStrangers()),
    'another secret': make(good(), {}, 'another secret'),
    'no secret': make(good(), {}, ''),
    'a flipped signature': `${head}.${body}.${signature.slice(0, -2)}${signature.at(-2) === 'A' ? 'B' : 'A'}${signature.at(-1)}`,
    'half a signature': fine.slice(0, -signature.length / 2),
    'no signature': `${head}.${body}.`,
    'a swapped payload': `${head}.${base64url({ ...good(), sub: 'mallory' })}.${signature}`,
    'a payload that is no object': make([]),
    'a payload that is no JSON': make('{"sub":'),
    'expired and wrongly signed': make({ ...good(), exp: seconds() - 1 }, {}, 'other'),
    'four parts': `${fine}.${signature}`,
    'two parts': `${head}.${body}`,
    'two dots': '..',
    garbage: 'x'.repeat(400),
    '9 kB of garbage': 'x'.repeat(9 * 1024),
    '9 kB, well signed': make({ ...good(), pad: 'x'.repeat(9 * 1024) }),
  };
  return [
    ...Object.entries(invalid).map(([name, token]): BadToken => ({ name, token, code: 'TOKEN_INVALID' })),
    { name: 'expired', token: make({ ...good(), exp: seconds() - 1 }), code: 'TOKEN_EXPIRED' },
    { name: 'expired this very second', token: make({ ...good(), exp: seconds() }), code: 'TOKEN_EXPIRED' },
  ];
}

type Make = (payload: unknown, header?: Record<string, unknown>, key?: string | Uint8Array) => string;

const badClaims = (make: Make): Record<string, string> => ({
  'no exp': make({ sub: 'u' }),
  'exp as text': make({ ...good(), exp: '9999999999' }),
  'exp beyond numbers': make({ ...good(), exp: 1e300 }),
  'no sub': make({ exp: seconds() + 60 }),
  'an empty sub': make({ ...good(), sub: '' }),
  'sub with control characters': make({ ...good(), sub: 'a\nb' }),
  'sub of 257 characters': make({ ...good(), sub: 'a'.repeat(257) }),
  'sub that is a number': make({ ...good(), sub: 7 }),
  'sub that is a list': make({ ...good(), sub: ['auth0|anna'] }),
  'a future nbf': make({ ...good(), nbf: seconds() + 3600 }),
});

const badHeaders = (make: Make): Record<string, string> => ({
  'alg none': make(good(), { alg: 'none' }),
  'alg None': make(good(), { alg: 'None' }),
  'no alg': make(good(), { alg: undefined }),
  'alg as a list': make(good(), { alg: ['HS256'] }),
  HS384: make(good(), { alg: 'HS384' }),
  HS512: make(good(), { alg: 'HS512' }),
  'an unknown crit': make(good(), { crit: ['x'], x: 1 }),
  'a payload that is not encoded': make(good(), { crit: ['b64'], b64: false }),
  'an injected secret': make(good(), { jwk: { kty: 'oct', k: base64url('mine'), alg: 'HS256' } }, 'mine'),
  'a kid that is a path': make(good(), { kid: '../../../../dev/null' }, ''),
  'a kid that is a query': make(good(), { kid: "x' UNION SELECT 'mine' -- " }, 'mine'),
  'RS256 with an HMAC': make(good(), { alg: 'RS256' }),
});

/** Well signed, by keys that nobody here has heard of; their headers tell where to find them. */
async function signedByStrangers(): Promise<Record<string, string>> {
  const signed = async (alg: string, more: (jwk: object) => object = () => ({})) => {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    const header = { alg, typ: 'JWT', kid: 'stranger', ...more({ ...(await exportJWK(publicKey)), kid: 'stranger' }) };
    return new SignJWT(good()).setProtectedHeader(header).sign(privateKey);
  };
  return {
    'RS256 of a stranger': await signed('RS256'),
    'ES256 of a stranger': await signed('ES256'),
    'EdDSA of a stranger': await signed('EdDSA'),
    'an injected jwk': await signed('ES256', (jwk) => ({ jwk })),
    'an injected jku': await signed('ES256', () => ({ jku: 'https://stranger.example/jwks.json' })),
    'an injected x5u': await signed('RS256', () => ({ x5u: 'https://stranger.example/cert.pem' })),
  };
}
