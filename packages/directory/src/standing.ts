import type { Address, ChannelName, DeliveryReason, Profile } from '@carillon/contracts';
import { type Call, loadScript, type Outcome } from '@carillon/redis';
import { attempt, resultOf } from './attempt.js';
import type { createDevices } from './devices.js';
import { openField, type Parts } from './person.js';
import type { createSuppressions } from './suppressions.js';

const read = loadScript(new URL('../lua/read.lua', import.meta.url));

interface Delivery {
  readonly userId: string;
  readonly channel: ChannelName;
  readonly to: Address;
}

interface StandingParts extends Parts {
  readonly devices: ReturnType<typeof createDevices>;
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
  const value = (position: number) => resultOf(outcomes[position] as Outcome<string | null>);
  return judges.map((decide) => (decide.ok ? attempt(() => decide.value(value)) : decide));
}

type Judge = (value: (position: number) => string | null) => DeliveryReason | undefined;

/** Says what it wants to read, and gives back what is to be made of it. */
function judge(parts: StandingParts, delivery: Delivery, want: (key: string, field?: string) => number): Judge {
  const { channel, to } = delivery;
  if (to.kind === 'user') return () => undefined;
  const stop = want(parts.suppressions.key(channel, to.value));
  const isTheirs = to.inline ? () => true : judgeOwnership(parts, delivery, want);
  return (value) => {
    if (value(stop) !== null) return 'suppressed';
    return isTheirs(value) ? undefined : 'address_changed';
  };
}

function judgeOwnership(
  { redis, vault, devices }: StandingParts,
  { userId, to }: Delivery,
  want: (key: string, field?: string) => number,
): (value: (position: number) => string | null) => boolean {
  const person = redis.keys.person(userId);
  const { kind, id = '' } = to;
  if (kind === 'fcm' || kind === 'web') {
    const device = want(person, devices.field(id));
    const owner = want(devices.ownerKey({ kind, value: to.value }), 'owner');
    return (value) => {
      const text = value(device);
      return text !== null && value(owner) === userId && devices.open(userId, id, text).value === to.value;
    };
  }
  const profile = want(person, 'profile');
  return (value) => {
    const sealed = value(profile);
    return sealed !== null && openField<Profile>(vault, userId, 'profile', sealed)[kind as 'email' | 'phone'] === to.value;
  };
}
