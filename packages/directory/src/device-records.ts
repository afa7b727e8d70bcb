import type { Redis } from '@carillon/redis';
import type { PersonKey, Vault } from '@carillon/vault';
import type { Device, DeviceAddress } from './directory.js';
import { openField, sealField } from './person.js';
import { type Registered, tokenOf } from './registration.js';

/** Before the id, in the name of a device's field. */
const FIELD = 'device:';
/** Bytes of a device id: 22 characters of base64url. */
const ID_BYTES = 16;

/** A device as it is kept. */
export interface Held extends Registered {
  readonly id: string;
  /** Version of the registration: µs since the epoch. */
  readonly generation: string;
}

export type DeviceRecords = ReturnType<typeof createDeviceRecords>;

/** How devices are named, and what stands in their fields: read and sealed here, written by scripts. */
export function createDeviceRecords({ redis, vault }: { readonly redis: Pick<Redis, 'keys'>; readonly vault: Pick<Vault, 'hash'> }) {
  const open = (key: PersonKey, id: string, text: string): Held => {
    const generation = generationOf(text);
    return { ...openField<Registered>(key, FIELD + id, text.slice(generation.length + 1)), id, generation };
  };
  return {
    idOf: (userId: string, registered: Registered) =>
      vault.hash('device', userId, registered.kind, tokenOf(registered)).subarray(0, ID_BYTES).toString('base64url'),
    /** What is no id of ours may be anything, and goes no further. */
    isId: (id: string) => /^[\w-]{22}$/.test(id),
    /** Where it stands whose a token is. */
    ownerKey: (registered: Pick<Registered, 'kind' | 'value'>) =>
      redis.keys.deviceOwner(vault.hash('device-owner', registered.kind, tokenOf(registered)).toString('base64url')),
    field: (id: string) => FIELD + id,
    idIn: (field: string) => field.slice(FIELD.length),
    seal: (key: PersonKey, id: string, registered: Registered) => sealField(key, FIELD + id, registered),
    /** Reads what a device's field holds. @throws SEAL_BROKEN */
    open,
    /** Devices among the fields of a person, as HGETALL gives them. @throws SEAL_BROKEN */
    among(key: PersonKey, fields: readonly string[]): Held[] {
      const held: Held[] = [];
      for (let i = 0; i < fields.length; i += 2) {
        const field = fields[i] as string;
        if (field.startsWith(FIELD)) held.push(open(key, field.slice(FIELD.length), fields[i + 1] as string));
      }
      return held;
    },
  };
}

/** What a device's field holds begins with its generation, in clear: scripts compare it. */
export function generationOf(text: string): string {
  return text.slice(0, text.indexOf(' '));
}

/** When a registration was made, ms since the epoch. */
export function toTime(generation: string): number {
  return Math.floor(Number(generation) / 1000);
}

/** A device as it is listed. */
export function toDevice({ id, kind, platform, generation }: Held): Device {
  return { id, kind, platform, registeredAt: toTime(generation) };
}

/** A device as an address. */
export function toAddress({ id, kind, value, generation }: Held): DeviceAddress {
  return { kind, id, value, registeredAt: toTime(generation) };
}
