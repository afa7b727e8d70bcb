import { CarillonError } from '@carillon/contracts';
import type { Vault } from '@carillon/vault';
import type { Unsubscription } from './directory.js';

/** A token without an end: mail is read years later, and who wants out is let out. The vault has to be one whose key stays. */
export function toToken(vault: Vault, { userId, channel, category }: Unsubscription): string {
  const sealed = vault.seal('unsubscribe', '', JSON.stringify({ userId, channel, category }));
  return Buffer.from(sealed, 'base64').toString('base64url');
}

/** What a token was made for. @throws LINK_INVALID */
export function fromToken(vault: Vault, token: string): Unsubscription {
  const bytes = Buffer.from(token, 'base64url');
  // Decoding overlooks what is not base64url; one link has one form.
  if (bytes.toString('base64url') !== token) throw new CarillonError('LINK_INVALID');
  try {
    return JSON.parse(vault.open('unsubscribe', '', bytes.toString('base64'))) as Unsubscription;
  } catch {
    throw new CarillonError('LINK_INVALID');
  }
}
