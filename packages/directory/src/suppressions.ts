import { CarillonError, type ChannelName, channelDefinition } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Vault } from '@carillon/vault';
import type { Suppression } from './directory.js';

/** Stops by address. Kept without the address: a keyed hash of it is the name. */
export function createSuppressions({ redis, vault }: { readonly redis: Redis; readonly vault: Pick<Vault, 'hash'> }) {
  const key = (channel: ChannelName, value: string) =>
    redis.keys.suppression(vault.hash('suppression', channel, normalise(channel, value)).toString('base64url'));

  return {
    key,
    async stop(channel: ChannelName, value: string, { reason, provider }: Pick<Suppression, 'reason' | 'provider'>): Promise<void> {
      const suppression: Suppression = { channel, reason, provider, at: Date.now() };
      await redis.command('SET', key(channel, value), JSON.stringify(suppression), 'NX');
    },
    async lift(channel: ChannelName, value: string): Promise<boolean> {
      return (await redis.command<number>('DEL', key(channel, value))) === 1;
    },
    /** The first stop there is on one of these addresses. @throws SUPPRESSION_NOT_FOUND */
    async find(channel: ChannelName, values: readonly string[]): Promise<Suppression> {
      const found = await Promise.all(values.map((value) => redis.command<string | null>('GET', key(channel, value))));
      const text = found.find((one) => one !== null);
      if (!text) throw new CarillonError('SUPPRESSION_NOT_FOUND', { field: 'channel' });
      return JSON.parse(text) as Suppression;
    },
  };
}

/**
 * An address as it is compared. RFC 5321 lets a mail host tell `Ann@` from `ann@`. Hardly one does, and providers report addresses in a case of
 * their own; to stop one too many is the lesser harm.
 */
function normalise(channel: ChannelName, value: string): string {
  const trimmed = value.trim();
  return channelDefinition(channel).addresses.email === undefined ? trimmed : trimmed.toLowerCase();
}
