import { createCipheriv, createDecipheriv, type KeyObject, randomFillSync } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';

/** A key of 256 bits with the id that stands in what it seals. */
export interface Key {
  readonly id: string;
  /** A key object: from plain bytes Node would make one for every message, at twice the cost of the cipher. */
  readonly secret: KeyObject;
}

/** A key by its id, of up to 255 ASCII characters. */
export function toKey(id: string, secret: KeyObject): Key {
  return { id, secret };
}

/** First byte of an envelope: version 2 is AES-256-GCM with a 12-byte nonce and a 16-byte tag, associated data as `associatedData` makes it. */
const VERSION = 2;
export const NONCE_BYTES = 12;
/** NIST SP 800-38D allows shorter tags, Node would accept them; this pins the full one. */
const TAG_BYTES = 16;
const CIPHER = { authTagLength: TAG_BYTES };

/** Bytes of randomness fetched at a time: one call per nonce would cost as much as the sealing. */
const NONCE_POOL_BYTES = NONCE_BYTES * 1024;
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

/**
 * Seals bytes for what `bound` says; they open for nothing else. Envelope, in base64: version (1 byte), length of the key's id (1), the id,
 * nonce (12), ciphertext, tag (16). A nonce is given in known-answer tests only.
 */
export function sealWith(key: Key, bound: readonly string[], content: string | Buffer, nonce: Buffer = nextNonce()): string {
  const cipher = createCipheriv('aes-256-gcm', key.secret, nonce, CIPHER);
  cipher.setAAD(associatedData(bound));
  const body = typeof content === 'string' ? cipher.update(content, 'utf8') : cipher.update(content);
  cipher.final();
  // The head is made for each: kept with the key, so small a buffer would keep the whole pool alive that it was cut from.
  const head = Buffer.from([VERSION, key.id.length]);
  return Buffer.concat([head, Buffer.from(key.id, 'latin1'), nonce, body, cipher.getAuthTag()]).toString('base64');
}

/** The id of the key an envelope was sealed with; undefined for what is no envelope. */
export function keyIdOf(sealed: string): string | undefined {
  // Only as much is decoded as can hold the id.
  const head = Buffer.from(sealed.slice(0, 348), 'base64');
  const end = 2 + (head[1] ?? 0);
  return head[0] === VERSION && head.length >= end ? head.toString('utf8', 2, end) : undefined;
}

/** Opens an envelope. @throws SEAL_BROKEN if it was altered, is bound to something else, or was not sealed with this key */
export function openWith({ secret, id }: Key, bound: readonly string[], sealed: string): Buffer {
  const bytes = Buffer.from(sealed, 'base64');
  const nonceStart = 2 + id.length;
  const bodyStart = nonceStart + NONCE_BYTES;
  const isOurs = bytes[0] === VERSION && bytes[1] === id.length && bytes.toString('latin1', 2, nonceStart) === id;
  if (!isOurs || bytes.length < bodyStart + TAG_BYTES) throw new CarillonError('SEAL_BROKEN');
  const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(nonceStart, bodyStart), CIPHER);
  decipher.setAAD(associatedData(bound));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const content = decipher.update(bytes.subarray(bodyStart, -TAG_BYTES));
    decipher.final();
    return content;
  } catch {
    // The cause says nothing more than that the tag did not match.
    throw new CarillonError('SEAL_BROKEN');
  }
}

/** Lengths first, so that no two lists give the same bytes. */
function associatedData(bound: readonly string[]): Buffer {
  let text = `carillon|${VERSION}`;
  for (const part of bound) text += `|${part.length}:${part}`;
  return Buffer.from(text);
}
