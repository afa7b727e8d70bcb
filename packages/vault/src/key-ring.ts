import { createSecretKey } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';
import { type Key, keyIdOf, openWith, sealWith, toKey } from './envelope.js';

/**
 * Wraps data keys, which are 32 bytes. Here a key management service can stand: wrapped keys are all that is stored, and it is asked once
 * per key, process and minute at most.
 */
export interface KeyProvider {
  /** The id of the key that wraps now. */
  readonly current: string;
  /** Wraps a data key for what `context` names. @throws KEY_STORE_UNAVAILABLE */
  wrap(dataKey: Buffer, context: string): Promise<string>;
  /** @throws SEAL_BROKEN (altered, or for another context), KEY_STORE_UNAVAILABLE (also if it was wrapped by a key that is not known here, perhaps not yet) */
  unwrap(wrapped: string, context: string): Promise<Buffer>;
  /** The id of the key that wrapped this; undefined if it cannot be told. */
  wrappedBy(wrapped: string): string | undefined;
}

export const KEY_BYTES = 32;
/** The setting a key ring comes from. */
const RING = 'NOTIFICATION_ENCRYPTION_KEYS';

/**
 * A key ring from the setting: `kid:base64(32 bytes)`, comma-separated. The first key wraps, all unwrap.
 *
 * @throws CONFIGURATION_INVALID for an unreadable entry, a key of another length, or a key id used twice.
 */
export function createKeyRing(ring: string): KeyProvider {
  const keys = ring.split(',').map(readKey);
  const byId = new Map(keys.map((key) => [key.id, key]));
  if (byId.size !== keys.length) throw new CarillonError('CONFIGURATION_INVALID', { message: 'two encryption keys have the same id' });
  const current = keys[0] as Key;
  return {
    current: current.id,
    wrap: async (dataKey, context) => sealWith(current, ['wrap', context], dataKey),
    async unwrap(wrapped, context) {
      const id = keyIdOf(wrapped);
      if (id === undefined) throw new CarillonError('SEAL_BROKEN');
      const key = byId.get(id);
      if (!key)
        throw new CarillonError('KEY_STORE_UNAVAILABLE', { field: RING, message: `${RING}: the key ${id} is in use and not among them` });
      return openWith(key, ['wrap', context], wrapped);
    },
    wrappedBy: keyIdOf,
  };
}

function readKey(entry: string, index: number): Key {
  const [id = '', encoded = ''] = entry.trim().split(':');
  const bytes = Buffer.from(encoded, 'base64');
  if (!/^[\w.-]{1,32}$/.test(id) || bytes.length !== KEY_BYTES) {
    throw new CarillonError('CONFIGURATION_INVALID', { message: `encryption key ${index + 1} is not of the form kid:base64(32 bytes)` });
  }
  return toKey(id, createSecretKey(bytes));
}
