import { type AddressKind, CarillonError, type ChannelName } from '@carillon/contracts';
import { loadScript, type Redis } from '@carillon/redis';
import type { Vault } from '@carillon/vault';
import type { Provider } from './provider.js';

/** A message that was kept instead of sent. */
export interface Preview {
  readonly id: string;
  readonly channel: ChannelName;
  /** Where it would have gone: an address, which is personal data, or the id of a device. */
  readonly to: string;
  readonly content: Readonly<Record<string, string>>;
  /** ms since the epoch. */
  readonly at: number;
}

/** Messages kept to be looked at, the last hundred, sealed. One whose encryption key is not configured any more counts as not kept. */
export interface Previews {
  add(previews: readonly Preview[]): Promise<void>;
  /** Newest first. */
  list(limit: number): Promise<Preview[]>;
  get(id: string): Promise<Preview | undefined>;
}

const KEPT = 100;
/** How long they are kept, ms. */
const RETENTION_MS = 7 * 24 * 3600 * 1000;

const keepScript = loadScript(new URL('../lua/keep.lua', import.meta.url));

/** Previews in Redis. */
export function createPreviews({ redis, vault }: { redis: Redis; vault: Vault }): Previews {
  const [messages, ids] = redis.keys.previews;
  const open = (id: string, sealed: string | null | undefined): Preview | undefined => {
    if (sealed == null) return undefined;
    try {
      return JSON.parse(vault.open('preview', id, sealed)) as Preview;
    } catch (error) {
      if (error instanceof CarillonError && error.code === 'SEAL_BROKEN') return undefined;
      throw error;
    }
  };
  return {
    async add(previews) {
      const args = previews.flatMap((preview) => [preview.id, vault.seal('preview', preview.id, JSON.stringify(preview))]);
      await redis.run(keepScript, { keys: [messages, ids], args: [KEPT, RETENTION_MS, ...args] });
    },
    async list(limit) {
      const newest = await redis.command<string[]>('LRANGE', ids, 0, limit - 1);
      if (newest.length === 0) return [];
      const sealed = await redis.command<(string | null)[]>('HMGET', messages, ...newest);
      return newest.flatMap((id, i) => open(id, sealed[i]) ?? []);
    },
    async get(id) {
      return open(id, await redis.command<string | null>('HGET', messages, id));
    },
  };
}

/** A provider that keeps messages for preview. */
export function previewProvider(
  previews: Previews,
  name: 'preview' | 'sandbox',
  kinds: readonly AddressKind[],
  channel: ChannelName,
): Provider {
  return {
    name,
    kinds,
    async send(messages) {
      const at = Date.now();
      await previews.add(
        messages.map(({ tag, to, item }) => ({ id: `${channel}-${tag}`, channel, to: to.id ?? to.value, content: item.content, at })),
      );
      return messages.map(() => ({ ok: true }));
    },
  };
}
