import type { Audit } from '@carillon/audit';
import { CarillonError, toCarillonError } from '@carillon/contracts';
import { createRedis, type Redis } from '@carillon/redis';
import { fileKeyStore } from './file-key-store.js';
import { createKeyRing, type KeyProvider } from './key-ring.js';
import type { KeyStore } from './key-store.js';
import { redisKeyStore } from './redis-key-store.js';
import { openVault, type Vault } from './vault.js';

export interface VaultSettings {
  /** The key ring: `kid:base64(32 bytes)`, comma-separated. */
  readonly encryptionKeys: string;
  /** A Redis for the keys alone. */
  readonly keysRedisUrl?: string | undefined;
  readonly redisPrefix: string;
}

/**
 * The vault as it is configured: its keys are kept in a Redis of their own; without one, in files of this folder; without either, in the Redis of the queues,
 * which is the weaker choice, since who restores the queues restores the keys. What is connected is closed through `defer`.
 *
 * @throws CONFIGURATION_INVALID, SEAL_BROKEN, KEY_STORE_UNAVAILABLE, REDIS_UNAVAILABLE
 */
export async function connectVault(
  settings: VaultSettings,
  parts: {
    readonly redis: Redis;
    readonly folder?: string | undefined;
    readonly audit?: Pick<Audit, 'note'>;
    /** Wraps the data keys in the place of the key ring. */
    readonly provider?: KeyProvider | undefined;
    readonly defer: (what: string, close: () => Promise<void>) => void;
  },
): Promise<Vault> {
  const provider = parts.provider ?? createKeyRing(settings.encryptionKeys);
  try {
    const vault = await openVault({ provider, store: await storeOf(settings, parts), audit: parts.audit });
    await checkStore(vault, parts.redis);
    return vault;
  } catch (thrown) {
    const error = toCarillonError(thrown);
    // A key that is missing from the ring: later that may be mended elsewhere, at the start it is for whoever starts it.
    if (error.field !== undefined) throw new CarillonError('CONFIGURATION_INVALID', { field: error.field, message: error.message });
    throw error;
  }
}

/** Two processes with different key stores would each seal what the other cannot open, and a lost key store must be noticed before it is replaced. */
async function checkStore(vault: Vault, redis: Redis): Promise<void> {
  const mark = vault.hash('installation').toString('base64url');
  await redis.command('SET', redis.keys.installation, mark, 'NX');
  if ((await redis.command<string>('GET', redis.keys.installation)) === mark) return;
  const message = 'the key store is not the one this installation has used: check NOTIFICATION_KEYS_REDIS_URL, or restore the key store';
  throw new CarillonError('CONFIGURATION_INVALID', { message });
}

async function storeOf({ keysRedisUrl, redisPrefix }: VaultSettings, parts: Parameters<typeof connectVault>[1]): Promise<KeyStore> {
  if (keysRedisUrl === undefined) return parts.folder === undefined ? redisKeyStore(parts.redis, false) : fileKeyStore(parts.folder);
  const redis = await createRedis({ url: keysRedisUrl }, { prefix: redisPrefix, temper: 'prompt' });
  parts.defer('key store', redis.close);
  return redisKeyStore(redis, true);
}
