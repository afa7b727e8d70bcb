import { CarillonError, type Preferences, type Profile, toCarillonError } from '@carillon/contracts';
import { loadScript, type Outcome, type Redis } from '@carillon/redis';
import type { PersonKey, Vault } from '@carillon/vault';

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

/** Seals what a field of a person holds; moved to another field or user it does not open. @throws ERASURE_UNDER_WAY */
export function sealField(key: PersonKey, field: string, value: unknown): string {
  return key.seal('person', field, JSON.stringify(value));
}

/** Opens it. What was sealed before the person was erased counts as not there: only a restore of Redis brings it back. @throws SEAL_BROKEN */
export function openField<T>(key: PersonKey, field: string, sealed: string): T | undefined {
  try {
    return JSON.parse(key.open('person', field, sealed)) as T;
  } catch (error) {
    if (error instanceof CarillonError && error.code === 'PERSON_ERASED') return undefined;
    throw error;
  }
}

/** What is kept in a field, or undefined. */
export async function get<F extends keyof Kept>({ redis, vault }: Parts, userId: string, field: F): Promise<Kept[F] | undefined> {
  const [key, sealed] = await Promise.all([
    vault.person(userId, 'leave'),
    redis.command<string | null>('HGET', redis.keys.person(userId), field),
  ]);
  return sealed === null ? undefined : openField<Kept[F]>(key, field, sealed);
}

/** Writes a field, whatever it held. */
export async function set<F extends keyof Kept>({ redis, vault }: Parts, userId: string, field: F, value: Kept[F]): Promise<Kept[F]> {
  const key = await vault.person(userId, 'make');
  await redis.command('HSET', redis.keys.person(userId), field, sealField(key, field, value));
  return value;
}

/** Changes a field so that no change made meanwhile is lost. `step` may run several times; nothing is written if it gives back what it got. */
export async function change<F extends keyof Kept>(
  { redis, vault }: Parts,
  userId: string,
  field: F,
  step: (current: Kept[F] | undefined) => Kept[F],
): Promise<Kept[F]> {
  const kept = redis.keys.person(userId);
  const key = await vault.person(userId, 'make');
  // This ends: each time it begins anew, somebody else's change was written.
  for (;;) {
    const sealed = await redis.command<string | null>('HGET', kept, field);
    const current = sealed === null ? undefined : openField<Kept[F]>(key, field, sealed);
    const next = step(current);
    if (next === current) return next;
    const args = [field, sealed ?? '', sealField(key, field, next)];
    if ((await redis.run<number>(swap, { keys: [kept], args })) === 1) return next;
  }
}

/** The keys of several people who are about to be read. Never throws: what keeps them away is told for each. */
export async function keysOf(vault: Vault, userIds: readonly string[]): Promise<(userId: string) => Outcome<PersonKey>> {
  try {
    const keys = await vault.people(userIds, 'leave');
    return (userId) => ({ ok: true, value: keys.get(userId) as PersonKey });
  } catch (thrown) {
    return () => ({ ok: false, error: toCarillonError(thrown) });
  }
}
