import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createOnce } from './files.js';

/** Bytes of a generated secret: 256 bits, the strength of the ciphers and signatures it feeds. */
const SECRET_BYTES = 32;

/** What an operator would have configured. */
export interface GeneratedKeys {
  /** The bearer token of the HTTP interface: `sk_` and 32 random bytes in base64url. */
  apiKey: string;
  /** Signs client tokens: 32 random bytes in base64url. */
  jwtSecret: string;
  /** Seals data at rest, in the form of `NOTIFICATION_ENCRYPTION_KEYS`: `kid:base64(32 bytes)`. */
  encryptionKeys: string;
}

/** The folder a checkout keeps its own state in. */
export interface DataDir {
  /** Absolute path. */
  readonly path: string;
  readonly keys: GeneratedKeys;
}

/**
 * Opens the folder `dir`, made on first use (0700), and the keys in it: generated once into `keys.json` (0600), read ever after.
 * Processes that open it at the same time for the first time get the same keys. Nothing to close.
 */
export function openDataDir(dir: string): DataDir {
  const path = resolve(dir);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  const file = join(path, 'keys.json');
  createOnce(file, () => `${JSON.stringify(generateKeys(), null, 2)}\n`);
  chmodSync(file, 0o600);
  return { path, keys: JSON.parse(readFileSync(file, 'utf8')) as GeneratedKeys };
}

function generateKeys(): GeneratedKeys {
  return {
    apiKey: `sk_${randomBytes(SECRET_BYTES).toString('base64url')}`,
    jwtSecret: randomBytes(SECRET_BYTES).toString('base64url'),
    encryptionKeys: `k${randomBytes(4).toString('hex')}:${randomBytes(SECRET_BYTES).toString('base64')}`,
  };
}
