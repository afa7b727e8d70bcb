import { randomBytes } from 'node:crypto';
import { KEY_BYTES, type KeyProvider } from './key-ring.js';
import type { KeyStore } from './key-store.js';

/** The name of the installation's secret in the key store. */
export const INSTALLATION = 'secret';
/** What it is wrapped for. */
export const installationContext = 'installation';

/** The secret from which keyed hashes and the installation's own keys are derived: made once, kept wrapped. @throws SEAL_BROKEN (other encryption keys than before) */
export async function installationSecret(provider: KeyProvider, store: KeyStore): Promise<Buffer> {
  const [there] = await store.get('installation', [INSTALLATION]);
  const [wrapped] =
    there == null
      ? await store.add('installation', [[INSTALLATION, await provider.wrap(randomBytes(KEY_BYTES), installationContext)]])
      : [there];
  return provider.unwrap(wrapped as string, installationContext);
}
