import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { KEY_BYTES } from './key-ring.js';

/** Keyed hashes and keys from one secret, each for a purpose of its own. */
export interface Derived {
  /** HMAC-SHA-256 of the parts, 32 bytes: for names that must not tell what they were made from. */
  hash(purpose: string, ...parts: readonly string[]): Buffer;
  /** A key for sealing (HKDF, RFC 5869). */
  key(purpose: string): KeyObject;
}

export function deriveFrom(secret: Buffer): Derived {
  // Deriving a key takes five times as long as using it; purposes are few and our own.
  const keys = new Map<string, KeyObject>();
  const keyOf = (purpose: string): KeyObject => {
    const known = keys.get(purpose);
    if (known) return known;
    const key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `carillon|${purpose}`, KEY_BYTES)));
    keys.set(purpose, key);
    return key;
  };
  return {
    key: (purpose) => keyOf(`seal|${purpose}`),
    hash(purpose, ...parts) {
      const hmac = createHmac('sha256', keyOf(purpose));
      // Lengths first, so that ('ab','c') and ('a','bc') differ.
      for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:`).update(part);
      return hmac.digest();
    },
  };
}
