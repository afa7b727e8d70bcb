import type { Preferences, Profile } from '@carillon/contracts';
import { loadScript, type Redis } from '@carillon/redis';
import type { Vault } from '@carillon/vault';

const swap = loadScript(new URL('../lua/swap.lua', import.meta.url));

/** What is kept of a person besides devices: JSON, sealed, a field each. */
interface Kept {
  profile: Profile;
  preferences: Preferences;
}

export interface Parts {
  readonly redis: Redis;
  readonly vault: Vault;
}

/** Each field is sealed for itself: moved to another field or user it does not open. */
const ownerOf = (userId: string, field: string) => `${field} ${userId}`;

/** Seals what a field of a person holds. */
export function sealField(vault: Vault, userId: string, field: string, value: unknown): string {
  return vault.seal('person', ownerOf(userId, field), JSON.stringify(value));
}

/** Opens it. @throws SEAL_BROKEN */
export function openField<T>(vault: Vault, userId: string, field: string, sealed: string): T {
  return JSON.parse(vault.open('person', ownerOf(userId, field), sealed)) as T;
}

/** What is kept in a field, or undefined. */
export async function get<F extends keyof Kept>({ redis, vault }: Parts, userId: string, field: F): Promise<Kept[F] | undefined> {
  const sealed = await redis.command<string | null>('HGET', redis.keys.person(userId), field);
  return sealed === null ? undefined : openField<Kept[F]>(vault, userId, field, sealed);
}

/** Writes a field, whatever it held. */
export async function set<F extends keyof Kept>({ redis, vault }: Parts, userId: string, field: F, value: Kept[F]): Promise<Kept[F]> {
  await redis.command('HSET', redis.keys.person(userId), field, sealField(vault, userId, field, value));
  return value;
}

/** Changes a field so that no change made meanwhile is lost. `step` may run several times; nothing is written if it gives back what it got. */
export async function change<F extends keyof Kept>(
  { redis, vault }: Parts,
  userId: string,
  field: F,
  step: (current: Kept[F] | undefined) => Kept[F],
): Promise<Kept[F]> {
  const key = redis.keys.person(userId);
  // This ends: each time it begins anew, somebody else's change was written.
  for (;;) {
    const sealed = await redis.command<string | null>('HGET', key, field);
    const current = sealed === null ? undefined : openField<Kept[F]>(vault, userId, field, sealed);
    const next = step(current);
    if (next === current) return next;
    const args = [field, sealed ?? '', sealField(vault, userId, field, next)];
    if ((await redis.run<number>(swap, { keys: [key], args })) === 1) return next;
  }
}
