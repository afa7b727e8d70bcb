import type { DeliveryReason, Preferences, Profile } from '@carillon/contracts';
import { type Call, loadScript, type Outcome } from '@carillon/redis';
import type { PersonKey } from '@carillon/vault';
import { attempt, resultOf } from './attempt.js';
import type { DeviceRecords } from './device-records.js';
import type { Delivery } from './directory.js';
import { keysOf, openField, type Parts } from './person.js';
import type { createSuppressions } from './suppressions.js';
import { wants } from './wishes.js';

const read = loadScript(new URL('../lua/read.lua', import.meta.url));

interface StandingParts extends Parts {
  readonly records: DeviceRecords;
  readonly suppressions: ReturnType<typeof createSuppressions>;
}

/** Values by key and field, each asked for once however often it is wanted. */
function createReads() {
  const calls: Call[] = [];
  const positions = new Map<string, number>();
  return {
    calls,
    /** Where the value will be. Without a field the key is that of a string. */
    want(key: string, field = ''): number {
      const name = `${field}\n${key}`;
      const position = positions.get(name) ?? calls.push({ keys: [key], args: [field] }) - 1;
      positions.set(name, position);
      return position;
    },
  };
}

/** See `Directory.standing`. */
export async function standing(parts: StandingParts, deliveries: readonly Delivery[]): Promise<Outcome<DeliveryReason | undefined>[]> {
  const reads = createReads();
  const judges = deliveries.map((delivery) => attempt(() => judge(parts, delivery, reads.want)));
  const people = deliveries.map(({ userId }) => userId);
  const [keys, outcomes] = await Promise.all([keysOf(parts.vault, people), parts.redis.batch<string | null>(read, [], reads.calls)]);
  const value: Values = {
    at: (position) => resultOf(outcomes[position] as Outcome<string | null>),
    key: (userId) => resultOf(keys(userId)),
  };
  return judges.map((decide) => (decide.ok ? attempt(() => decide.value(value)) : decide));
}

/** Asks for a value; answers where it will be. */
type Want = (key: string, field?: string) => number;
/** What was read: values by where they are, and the keys to open them with. */
interface Values {
  at(position: number): string | null;
  key(userId: string): PersonKey;
}
/** What is to be made of it. */
type Verdict<T> = (read: Values) => T;

/** Says what it wants to read, and gives back what is to be made of it. */
function judge(parts: StandingParts, delivery: Delivery, want: Want): Verdict<DeliveryReason | undefined> {
  const { channel, to } = delivery;
  const isWanted = judgeWishes(parts, delivery, want);
  if (to.kind === 'user') return (read) => (isWanted(read) ? undefined : 'preference');
  const stop = want(parts.suppressions.key(channel, to.value));
  const isTheirs = to.inline ? () => true : judgeOwnership(parts, delivery, want);
  return (read) => {
    if (read.at(stop) !== null) return 'suppressed';
    if (!isTheirs(read)) return 'address_changed';
    return isWanted(read) ? undefined : 'preference';
  };
}

function judgeWishes({ redis }: StandingParts, delivery: Delivery, want: Want): Verdict<boolean> {
  if (delivery.required) return () => true;
  const { userId } = delivery;
  const preferences = want(redis.keys.person(userId), 'preferences');
  return (read) => {
    const sealed = read.at(preferences);
    return sealed === null || wants(openField<Preferences>(read.key(userId), 'preferences', sealed) ?? {}, delivery);
  };
}

function judgeOwnership({ redis, records }: StandingParts, { userId, to }: Delivery, want: Want): Verdict<boolean> {
  const person = redis.keys.person(userId);
  const { kind, id = '' } = to;
  if (kind === 'fcm' || kind === 'web') {
    const device = want(person, records.field(id));
    const owner = want(records.ownerKey({ kind, value: to.value }), 'owner');
    return (read) => {
      const text = read.at(device);
      return text !== null && read.at(owner) === userId && records.open(read.key(userId), id, text)?.value === to.value;
    };
  }
  const profile = want(person, 'profile');
  return (read) => {
    const sealed = read.at(profile);
    return sealed !== null && openField<Profile>(read.key(userId), 'profile', sealed)?.[kind as 'email' | 'phone'] === to.value;
  };
}
