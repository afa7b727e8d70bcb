import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

/** The `iss` of the tokens of these tests, with the slash Auth0 has. */
export const TEST_ISSUER = 'https://clinic.eu.auth0.example/';
/** The `aud` they have, besides another one. */
export const TEST_AUDIENCE = 'https://notify.clinic.example';

/** A token issuer with its keys on a real server, the same one each time it is opened; `answer` may say something else. */
export class TestIssuer {
  keys: JWK[] = [];
  asked = 0;
  answer:
    | ((keys: JWK[]) => { status?: number; body: string | Buffer; until?: Promise<void>; headers?: Record<string, string> })
    | undefined;
  #server: Server | undefined;
  #port = 0;

  /** Listens; the caller closes it. */
  async open(): Promise<void> {
    this.#server = createServer(async (_, response) => {
      this.asked += 1;
      const { status = 200, body, until, headers } = this.answer?.(this.keys) ?? { body: JSON.stringify({ keys: this.keys }) };
      await until;
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...headers }).end(body);
    });
    await new Promise<void>((resolve) => this.#server?.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }
  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }
  get url(): string {
    return `http://127.0.0.1:${this.#port}/.well-known/jwks.json`;
  }
  /** Makes a key and publishes it. */
  async add(kid: string, alg = 'RS256'): Promise<TestSigner> {
    const signer = await testSigner(kid, alg);
    this.keys.push(signer.jwk);
    return signer;
  }
}

/** A key of an issuer, or of a stranger. */
export interface TestSigner {
  readonly jwk: JWK;
  readonly publicKey: CryptoKey;
  /** An ordinary access token as Auth0 issues it, with these claims and this header besides. */
  sign(claims?: object, header?: object): Promise<string>;
}

/** A key that nobody has published yet. */
export async function testSigner(kid: string, alg: string): Promise<TestSigner> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const now = Math.floor(Date.now() / 1000);
  const ordinary = {
    iss: TEST_ISSUER,
    sub: 'auth0|anna',
    aud: [TEST_AUDIENCE, `${TEST_ISSUER}userinfo`],
    azp: 'JbT0rB5z',
    scope: 'openid profile',
    iat: now,
    exp: now + 86_400,
  };
  return {
    publicKey,
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
    sign: (claims = {}, header = {}) =>
      new SignJWT({ ...ordinary, ...claims }).setProtectedHeader({ alg, typ: 'JWT', kid, ...header }).sign(privateKey),
  };
}
