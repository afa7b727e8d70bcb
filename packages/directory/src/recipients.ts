import type { Preferences, Profile } from '@carillon/contracts';
import { loadScript, type Outcome } from '@carillon/redis';
import type { PersonKey } from '@carillon/vault';
import { attempt, resultOf } from './attempt.js';
import { type DeviceRecords, toAddress } from './device-records.js';
import type { Recipient } from './directory.js';
import { keysOf, openField, type Parts } from './person.js';

const all = loadScript(new URL('../lua/all.lua', import.meta.url));

/** Whom nobody has told us of. */
const NOBODY: Recipient = Object.freeze({
  profile: Object.freeze({}),
  preferences: Object.freeze({}),
  devices: Object.freeze([]),
});

interface RecipientParts extends Parts {
  readonly records: DeviceRecords;
}

/** See `Directory.recipients`. */
export async function recipients(parts: RecipientParts, userIds: readonly string[]): Promise<Outcome<Recipient>[]> {
  const { redis } = parts;
  const distinct = [...new Set(userIds)];
  const calls = distinct.map((userId) => ({ keys: [redis.keys.person(userId)], args: [] }));
  const [keys, outcomes] = await Promise.all([keysOf(parts.vault, distinct), redis.batch<string[]>(all, [], calls)]);
  const opened = new Map(
    distinct.map((userId, i) => [userId, attempt(() => open(parts, resultOf(keys(userId)), resultOf(outcomes[i] as Outcome<string[]>)))]),
  );
  return userIds.map((userId) => opened.get(userId) as Outcome<Recipient>);
}

/** What is known of one user. @throws REDIS_UNAVAILABLE, SEAL_BROKEN */
export async function recipient(parts: RecipientParts, userId: string): Promise<Recipient> {
  const [outcome] = (await recipients(parts, [userId])) as [Outcome<Recipient>];
  return resultOf(outcome);
}

function open({ records }: RecipientParts, key: PersonKey, fields: readonly string[]): Recipient {
  if (fields.length === 0) return NOBODY;
  const kept = <T>(field: string): T | undefined => {
    const at = fields.indexOf(field);
    return at % 2 === 0 ? openField<T>(key, field, fields[at + 1] as string) : undefined;
  };
  return {
    profile: kept<Profile>('profile') ?? {},
    preferences: kept<Preferences>('preferences') ?? {},
    devices: records.among(key, fields).map(toAddress),
  };
}
