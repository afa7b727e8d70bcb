import type { DeliveryReason, Preferences, Profile } from '@carillon/contracts';
import { type Call, loadScript, type Outcome } from '@carillon/redis';
import { attempt, resultOf } from './attempt.js';
import type { DeviceRecords } from './device-records.js';
import type { Delivery } from './directory.js';
import { openField, type Parts } from './person.js';
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
  const outcomes = await parts.redis.batch<string | null>(read, [], reads.calls);
  const value: Values = (position) => resultOf(outcomes[position] as Outcome<string | null>);
  return judges.map((decide) => (decide.ok ? attempt(() => decide.value(value)) : decide));
}

/** Asks for a value; answers where it will be. */
type Want = (key: string, field?: string) => number;
/** Values by where they are. */
type Values = (position: number) => string | null;

/** Says what it wants to read, and gives back what is to be made of it. */
function judge(parts: StandingParts, delivery: Delivery, want: Want): (value: Values) => DeliveryReason | undefined {
  const { channel, to } = delivery;
  const isWanted = judgeWishes(parts, delivery, want);
  if (to.kind === 'user') return (value) => (isWanted(value) ? undefined : 'preference');
  const stop = want(parts.suppressions.key(channel, to.value));
  const isTheirs = to.inline ? () => true : judgeOwnership(parts, delivery, want);
  return (value) => {
    if (value(stop) !== null) return 'suppressed';
    if (!isTheirs(value)) return 'address_changed';
    return isWanted(value) ? undefined : 'preference';
  };
}

function judgeWishes({ redis, vault }: StandingParts, delivery: Delivery, want: Want): (value: Values) => boolean {
  if (delivery.required) return () => true;
  const { userId } = delivery;
  const preferences = want(redis.keys.person(userId), 'preferences');
  return (value) => {
    const sealed = value(preferences);
    return sealed === null || wants(openField<Preferences>(vault, userId, 'preferences', sealed), delivery);
  };
}

function judgeOwnership({ redis, vault, records }: StandingParts, { userId, to }: Delivery, want: Want): (value: Values) => boolean {
  const person = redis.keys.person(userId);
  const { kind, id = '' } = to;
  if (kind === 'fcm' || kind === 'web') {
    const device = want(person, records.field(id));
    const owner = want(records.ownerKey({ kind, value: to.value }), 'owner');
    return (value) => {
      const text = value(device);
      return text !== null && value(owner) === userId && records.open(userId, id, text).value === to.value;
    };
  }
  const profile = want(person, 'profile');
  return (value) => {
    const sealed = value(profile);
    return sealed !== null && openField<Profile>(vault, userId, 'profile', sealed)[kind as 'email' | 'phone'] === to.value;
  };
}
