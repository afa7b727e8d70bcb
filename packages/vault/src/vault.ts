import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, type KeyObject, randomFillSync } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';

/** What sealed bytes are for; bound to them, so that they open for nothing else. */
export type Purpose = 'job' | 'inbox' | 'installation' | 'session' | 'person' | 'unsubscribe' | 'preview';

/** Seals and opens text. */
export interface Vault {
  /** Seals `text` for one purpose and owner (a user id, a job id). The result is base64. */
  seal(purpose: Purpose, owner: string, text: string): string;
  /** Opens what `seal` made. @throws SEAL_BROKEN if it was altered, is for another purpose or owner, or its key is not configured. */
  open(purpose: Purpose, owner: string, sealed: string): string;
}

/** First byte of an envelope: version 1 is AES-256-GCM with a 12-byte nonce and a 16-byte tag. */
const VERSION = 1;
const NONCE_BYTES = 12;
/** NIST SP 800-38D allows shorter tags, Node would accept them; this pins the full one. */
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** Bytes of randomness fetched at a time: one call per nonce would cost as much as the sealing. */
const NONCE_POOL_BYTES = NONCE_BYTES * 1024;

interface Key {
  readonly kid: string;
  /** A key object: from plain bytes Node would make one for every message, at twice the cost of the cipher. */
  readonly secret: KeyObject;
}

const noncePool = Buffer.alloc(NONCE_POOL_BYTES);
let nonceAt = NONCE_POOL_BYTES;

/** A random nonce that is not given out again. */
function nextNonce(): Buffer {
  if (nonceAt === NONCE_POOL_BYTES) {
    randomFillSync(noncePool);
    nonceAt = 0;
  }
  nonceAt += NONCE_BYTES;
  return Buffer.from(noncePool.subarray(nonceAt - NONCE_BYTES, nonceAt));
}

/** Envelope: version (1 byte), length of key id (1), key id, nonce (12), ciphertext, tag (16). */
function seal(key: Key, purpose: Purpose, owner: string, text: string): string {
  const kid = Buffer.from(key.kid);
  const nonce = nextNonce();
  const cipher = createCipheriv('aes-256-gcm', key.secret, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedData(purpose, owner));
  const body = cipher.update(text, 'utf8');
  cipher.final();
  return Buffer.concat([Buffer.from([VERSION, kid.length]), kid, nonce, body, cipher.getAuthTag()]).toString('base64');
}

function open(keys: ReadonlyMap<string, Key>, purpose: Purpose, owner: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64');
  const kidEnd = 2 + (bytes[1] ?? 0);
  const key = bytes[0] === VERSION ? keys.get(bytes.toString('utf8', 2, kidEnd)) : undefined;
  const bodyStart = kidEnd + NONCE_BYTES;
  if (!key || bytes.length < bodyStart + TAG_BYTES) throw new CarillonError('SEAL_BROKEN');
  const decipher = createDecipheriv('aes-256-gcm', key.secret, bytes.subarray(kidEnd, bodyStart), { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedData(purpose, owner));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const text = decipher.update(bytes.subarray(bodyStart, -TAG_BYTES));
    decipher.final();
    return text.toString('utf8');
  } catch {
    // The cause says nothing more than that the tag did not match.
    throw new CarillonError('SEAL_BROKEN');
  }
}

/** Purposes have no separator in them, so no two pairs give the same bytes. */
function associatedData(purpose: Purpose, owner: string): Buffer {
  return Buffer.from(`carillon|${VERSION}|${purpose}|${owner}`);
}

/**
 * Reads a key ring: `kid:base64(32 bytes)`, comma-separated. The first key seals, all open.
 *
 * @throws CONFIGURATION_INVALID for an unreadable entry, a key of another length, or a key id used twice.
 */
function parseKeyRing(ring: string): [Key, ...Key[]] {
  const keys = ring.split(',').map((entry, index): Key => {
    const [kid = '', encoded = ''] = entry.trim().split(':');
    const bytes = Buffer.from(encoded, 'base64');
    if (!/^[\w.-]{1,32}$/.test(kid) || bytes.length !== KEY_BYTES) {
      throw new CarillonError('CONFIGURATION_INVALID', { message: `encryption key ${index + 1} is not of the form kid:base64(32 bytes)` });
    }
    return { kid, secret: createSecretKey(bytes) };
  });
  if (new Set(keys.map((key) => key.kid)).size !== keys.length) {
    throw new CarillonError('CONFIGURATION_INVALID', { message: 'two encryption keys have the same id' });
  }
  return keys as [Key, ...Key[]];
}

/** A vault over a key ring; see `parseKeyRing` for its form and what it throws. */
export function createVault(ring: string): Vault {
  const keys = parseKeyRing(ring);
  const byId = new Map(keys.map((key) => [key.kid, key]));
  return {
    seal: (purpose, owner, text) => seal(keys[0], purpose, owner, text),
    open: (purpose, owner, sealed) => open(byId, purpose, owner, sealed),
  };
}

/** A hash that only holders of `secret` can make: for ids that must not tell what they were made from. 32 bytes. */
export function keyedHash(secret: Buffer, purpose: string, ...parts: string[]): Buffer {
  const hmac = createHmac('sha256', keyOf(secret, purpose));
  // Lengths first, so that ('ab','c') and ('a','bc') differ.
  for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:`).update(part);
  return hmac.digest();
}

/** Keys derived so far: deriving one takes five times as long as using it. Secrets are few, purposes are our own. */
const derived = new WeakMap<Buffer, Map<string, KeyObject>>();

function keyOf(secret: Buffer, purpose: string): KeyObject {
  const keys = derived.get(secret) ?? new Map<string, KeyObject>();
  derived.set(secret, keys);
  const key = keys.get(purpose) ?? createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `carillon|${purpose}`, KEY_BYTES)));
  keys.set(purpose, key);
  return key;
}
