import { randomBytes } from 'node:crypto';
import type { Vault } from './vault.js';

const SECRET_BYTES = 32;

/** What a secret is kept in: a Redis, seen no closer than needed. */
interface Store {
  readonly keys: { readonly installation: string };
  command<T>(name: string, ...args: string[]): Promise<T>;
}

/**
 * The secret behind keyed hashes: made once per installation, kept sealed, so that it outlives a change of encryption keys. 32 bytes.
 *
 * @throws SEAL_BROKEN (other encryption keys than before); what the store throws
 */
export async function installationSecret(store: Store, vault: Vault): Promise<Buffer> {
  const fresh = vault.seal('installation', '', randomBytes(SECRET_BYTES).toString('base64'));
  await store.command('SET', store.keys.installation, fresh, 'NX');
  return Buffer.from(vault.open('installation', '', await store.command<string>('GET', store.keys.installation)), 'base64');
}
