import { type AddressKind, CarillonError, type ChannelName, toCarillonError } from '@carillon/contracts';
import { loadScript, type Redis } from '@carillon/redis';
import type { PersonKey, Vault } from '@carillon/vault';
import type { Provider } from './provider.js';

/** A message that was kept instead of sent. */
export interface Preview {
  readonly id: string;
  readonly userId: string;
  readonly channel: ChannelName;
  /** Where it would have gone: an address, which is personal data, or the id of a device. */
  readonly to: string;
  readonly content: Readonly<Record<string, string>>;
  /** ms since the epoch. */
  readonly at: number;
}

/** Messages kept to be looked at, the last hundred, each sealed for its user. One that cannot be opened any more counts as not kept. */
export interface Previews {
  /**
   * Keeps messages. Left out are those whose user has no key to seal with, and those from before their user was erased: `createdAt` says, for each, when what
   * it tells of was created (ms since the epoch); `at` unless told.
   */
  add(previews: readonly Preview[], createdAt?: readonly number[]): Promise<void>;
  /** Newest first. */
  list(limit: number): Promise<Preview[]>;
  get(id: string): Promise<Preview | undefined>;
}

const KEPT = 100;
/** How long they are kept, ms. */
const RETENTION_MS = 7 * 24 * 3600 * 1000;

/** Why a message cannot be opened any more: its user was erased, or its key is not configured. */
const GONE = new Set<string>(['SEAL_BROKEN', 'PERSON_ERASED']);

const keepScript = loadScript(new URL('../lua/keep.lua', import.meta.url));

/** Previews in Redis. */
export function createPreviews({ redis, vault }: { redis: Redis; vault: Vault }): Previews {
  const [messages, ids] = redis.keys.previews;
  // The name of the user's key, then what is sealed under it.
  const open = async (ids: readonly string[], texts: readonly (string | null | undefined)[]): Promise<(Preview | undefined)[]> => {
    const parts = texts.map((text) => (text ?? '').split(' ') as [string, string?]);
    const keys = await vault.holders(parts.flatMap(([owner, sealed]) => (sealed === undefined ? [] : [owner])));
    return parts.map(([owner, sealed], i) => {
      try {
        return sealed === undefined
          ? undefined
          : (JSON.parse((keys.get(owner) as PersonKey).open('preview', ids[i] as string, sealed)) as Preview);
      } catch (error) {
        if (GONE.has(toCarillonError(error).code)) return undefined;
        throw error;
      }
    });
  };
  return {
    async add(previews, createdAt = []) {
      const keys = await vault.people(
        previews.map(({ userId }) => userId),
        'make',
      );
      const args = previews.flatMap((preview, i) => {
        const key = keys.get(preview.userId) as PersonKey;
        const sealed = (createdAt[i] ?? preview.at) > key.erasedAt && sealWith(key, preview);
        return sealed ? [preview.id, `${key.name} ${sealed}`] : [];
      });
      if (args.length > 0) await redis.run(keepScript, { keys: [messages, ids], args: [KEPT, RETENTION_MS, ...args] });
    },
    async list(limit) {
      const newest = await redis.command<string[]>('LRANGE', ids, 0, limit - 1);
      if (newest.length === 0) return [];
      const sealed = await redis.command<(string | null)[]>('HMGET', messages, ...newest);
      return (await open(newest, sealed)).filter((preview) => preview !== undefined);
    },
    async get(id) {
      return (await open([id], [await redis.command<string | null>('HGET', messages, id)]))[0];
    },
  };
}

/** Undefined where the key cannot seal: that is no reason to lose the previews of others. */
function sealWith(key: PersonKey, preview: Preview): string | undefined {
  try {
    return key.seal('preview', preview.id, JSON.stringify(preview));
  } catch (error) {
    if (error instanceof CarillonError) return undefined;
    throw error;
  }
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
      const idOf = (tag: string) => `${channel}-${tag}`;
      await previews.add(
        messages.map(({ tag, to, item }) => ({
          id: idOf(tag),
          userId: item.userId,
          channel,
          to: to.id ?? to.value,
          content: item.content,
          at,
        })),
        messages.map(({ item }) => item.createdAt),
      );
      // By it the record tells where the message can be looked at.
      return messages.map(({ tag }) => ({ ok: true, providerMessageId: idOf(tag) }));
    },
  };
}
