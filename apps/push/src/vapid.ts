import { createECDH } from 'node:crypto';
import { allOrNone } from '@carillon/channel';
import { CarillonError } from '@carillon/contracts';
import type { Config } from '@carillon/service';

/** Who we are to push services (RFC 8292). */
export interface Vapid {
  readonly subject: string;
  readonly publicKey: string;
  readonly privateKey: string;
}

/** The VAPID settings; undefined if there are none. @throws CONFIGURATION_INVALID if one is missing, or the keys are not a pair */
export function readVapid({ vapidPublicKey, vapidPrivateKey, vapidSubject }: Config): Vapid | undefined {
  const set = allOrNone({ VAPID_PUBLIC_KEY: vapidPublicKey, VAPID_PRIVATE_KEY: vapidPrivateKey, VAPID_SUBJECT: vapidSubject });
  if (!set) return undefined;
  // Browsers and tools write base64url with or without padding; the SDK takes it without.
  const [publicKey, privateKey] = [set.VAPID_PUBLIC_KEY, set.VAPID_PRIVATE_KEY].map((key) => key.replace(/=+$/, '')) as [string, string];
  if (publicOf(privateKey) !== publicKey)
    throw new CarillonError('CONFIGURATION_INVALID', { message: 'VAPID_PRIVATE_KEY: is not the other half of VAPID_PUBLIC_KEY' });
  return { subject: set.VAPID_SUBJECT, publicKey, privateKey };
}

function publicOf(privateKey: string): string | undefined {
  try {
    const key = createECDH('prime256v1');
    key.setPrivateKey(Buffer.from(privateKey, 'base64url'));
    return key.getPublicKey().toString('base64url');
  } catch {
    return undefined;
  }
}
