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
  /** What a token is called in Redis: a keyed hash. */
  const nameOf = (registered: Pick<Registered, 'kind' | 'value'>) =>
    vault.hash('device-owner', registered.kind, tokenOf(registered)).toString('base64url');
  const open = (key: PersonKey, id: string, text: string): Held | undefined => {
    const [generation, , sealed] = partsOf(text);
    const registered = openField<Registered>(key, FIELD + id, sealed);
    return registered && { ...registered, id, generation };
  };
  return {
    idOf: (userId: string, registered: Registered) =>
      vault.hash('device', userId, registered.kind, tokenOf(registered)).subarray(0, ID_BYTES).toString('base64url'),
    /** What is no id of ours may be anything, and goes no further. */
    isId: (id: string) => /^[\w-]{22}$/.test(id),
    /** Where it stands whose a token is. */
    ownerKey: (registered: Pick<Registered, 'kind' | 'value'>) => redis.keys.deviceOwner(nameOf(registered)),
    /** The same, from what a device's field holds: it can be told when nobody can open the device any more. */
    ownerKeyIn: (text: string) => redis.keys.deviceOwner(partsOf(text)[1]),
    field: (id: string) => FIELD + id,
    /** What a device's field holds behind the generation. */
    seal: (key: PersonKey, id: string, registered: Registered) => `${nameOf(registered)} ${sealField(key, FIELD + id, registered)}`,
    /** Reads what a device's field holds; undefined if it is from before the person was erased. @throws SEAL_BROKEN */
    open,
    /** Devices among the fields of a person, as HGETALL gives them. @throws SEAL_BROKEN */
    among(key: PersonKey, fields: readonly string[]): Held[] {
      return devicesIn(fields).flatMap(([field, text]) => open(key, field.slice(FIELD.length), text) ?? []);
    },
    /** What the fields of devices hold, unopened. */
    textsIn: (fields: readonly string[]) => devicesIn(fields).map(([, text]) => text),
  };
}

/** The fields of devices among those of a person, as HGETALL gives them. */
function devicesIn(fields: readonly string[]): (readonly [field: string, text: string])[] {
  const found: (readonly [string, string])[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]?.startsWith(FIELD)) found.push([fields[i] as string, fields[i + 1] as string]);
  }
  return found;
}

/** What a device's field holds: the generation, in clear since scripts compare it; what the token is called; the device, sealed. */
function partsOf(text: string): [generation: string, tokenName: string, sealed: string] {
  const [generation = '', tokenName = '', sealed = ''] = text.split(' ', 3);
  return [generation, tokenName, sealed];
}

export function generationOf(text: string): string {
  return partsOf(text)[0];
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
