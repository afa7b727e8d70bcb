import { CarillonError } from '@carillon/contracts';
import type { CryptoKey } from 'jose';

/** The one algorithm of tokens signed with a shared secret. */
export const SECRET_ALGORITHM = 'HS256';

/**
 * Imports a shared secret once: verifying with a CryptoKey takes a third of the time that raw bytes take.
 *
 * @throws CONFIGURATION_INVALID when the secret is empty (WebCrypto refuses an empty key anyway, later and without a name).
 */
export function importSecret(secret: string, usage: 'sign' | 'verify'): Promise<CryptoKey> {
  if (secret.length === 0) {
    throw new CarillonError('CONFIGURATION_INVALID', {
      field: 'NOTIFICATION_JWT_SECRET',
      message: 'NOTIFICATION_JWT_SECRET: must not be empty',
    });
  }
  return crypto.subtle.importKey('raw', new TextEncoder().encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [usage]);
}
