import { CarillonError } from '@carillon/contracts';
import { loadScript, type Outcome } from '@carillon/redis';
import { keyedHash } from '@carillon/vault';
import { attempt, resultOf } from './attempt.js';
import type { Device, DeviceAddress } from './directory.js';
import { openField, type Parts, sealField } from './person.js';
import { type Registered, tokenOf } from './registration.js';

/** Devices a user has at most: more than anybody carries, few enough that one notification stays one small job. */
const MAX_DEVICES = 50;

const script = (name: string) => loadScript(new URL(`../lua/${name}.lua`, import.meta.url));
const scripts = {
  generation: script('generation'),
  hold: script('hold'),
  own: script('own'),
  drop: script('drop'),
  release: script('release'),
  read: script('read'),
};

/** Before the id, in the name of a device's field. */
const FIELD = 'device:';
/** Bytes of a device id: 22 characters of base64url. */
const ID_BYTES = 16;

/** A device as it is kept. */
interface Held extends Registered {
  readonly id: string;
  /** Version of the registration: µs since the epoch. */
  readonly generation: string;
}

/**
 * Devices live with their users, and whose a token is stands under the token: on a cluster two slots, which cannot change together. Every
 * registration of a token has a generation of its own and goes in this order: the user holds the device, the user owns the token, the owner
 * before drops the device. The latest generation owns, and nobody drops what is later than his own, so however registrations overlap, the
 * owner holds the device. One that breaks off leaves a device with somebody who is not the owner: `ownerKey` tells.
 */
export function createDevices({ redis, vault, secret }: Parts & { readonly secret: Buffer }) {
  const idOf = (userId: string, registered: Registered) =>
    keyedHash(secret, 'device', userId, registered.kind, tokenOf(registered)).subarray(0, ID_BYTES).toString('base64url');
  const ownerKey = (registered: Pick<Registered, 'kind' | 'value'>) =>
    redis.keys.deviceOwner(keyedHash(secret, 'device-owner', registered.kind, tokenOf(registered)).toString('base64url'));

  const drop = (userId: string, id: string, generation: string) =>
    redis.run<number>(scripts.drop, { keys: [redis.keys.person(userId)], args: [FIELD + id, generation] });
  /** Frees the token of a device that was dropped. Of one that cannot be opened it stays taken, by somebody who does not hold it. */
  const release = async (userId: string, field: string, text: string): Promise<void> => {
    const held = attempt(() => openDevice(field, userId, text));
    if (held.ok) await redis.run(scripts.release, { keys: [ownerKey(held.value)], args: [userId, held.value.generation] });
  };

  /** Devices among the fields of a person, as HGETALL gives them. @throws SEAL_BROKEN */
  const among = (userId: string, fields: readonly string[]): Held[] => {
    const held: Held[] = [];
    for (let i = 0; i < fields.length; i += 2) {
      const field = fields[i] as string;
      if (field.startsWith(FIELD)) held.push(openDevice(field, userId, fields[i + 1] as string));
    }
    return held;
  };
  const openDevice = (field: string, userId: string, text: string): Held => {
    const generation = generationOf(text);
    const registered = openField<Registered>(vault, userId, field, text.slice(generation.length + 1));
    return { ...registered, id: field.slice(FIELD.length), generation };
  };
  const find = async (userId: string, id: string): Promise<string | null> =>
    redis.command<string | null>('HGET', redis.keys.person(userId), FIELD + id);

  return {
    among,
    ownerKey,
    /** The field of a device, and how what it holds is read. */
    field: (id: string) => FIELD + id,
    open: (userId: string, id: string, text: string) => openDevice(FIELD + id, userId, text),

    async add(userId: string, registered: Registered): Promise<Device> {
      const id = idOf(userId, registered);
      const owner = ownerKey(registered);
      const generation = await redis.run<string>(scripts.generation, { keys: [owner], args: [] });
      const sealed = sealField(vault, userId, FIELD + id, registered);
      const left = await redis.run<string[]>(scripts.hold, {
        keys: [redis.keys.person(userId)],
        args: [FIELD + id, generation, sealed, MAX_DEVICES],
      });
      const [won, before] = await redis.run<[number, string]>(scripts.own, { keys: [owner], args: [userId, generation] });
      if (won === 0) await drop(userId, id, generation);
      else if (before !== '' && before !== userId) await drop(before, idOf(before, registered), generation);
      for (let i = 0; i < left.length; i += 2) await release(userId, left[i] as string, left[i + 1] as string);
      return toDevice({ ...registered, id, generation });
    },

    async remove(userId: string, id: string): Promise<void> {
      const text = await find(userId, id);
      if (text === null) throw new CarillonError('DEVICE_NOT_FOUND', { field: 'deviceId' });
      if ((await drop(userId, id, generationOf(text))) === 1) await release(userId, FIELD + id, text);
    },

    async prune(userId: string, { id = '', value, registeredAt }: DeviceAddress): Promise<boolean> {
      const text = await find(userId, id);
      if (text === null) return false;
      const held = openDevice(FIELD + id, userId, text);
      if (held.value !== value || (registeredAt !== undefined && registeredAt !== toTime(held.generation))) return false;
      if ((await drop(userId, id, held.generation)) === 0) return false;
      await release(userId, FIELD + id, text);
      return true;
    },

    /** The devices a user both holds and owns, the latest registration first. */
    async list(userId: string): Promise<Device[]> {
      const held = among(userId, await redis.command<string[]>('HGETALL', redis.keys.person(userId)));
      const owners = await redis.batch<string | null>(
        scripts.read,
        [],
        held.map((device) => ({ keys: [ownerKey(device)], args: ['owner'] })),
      );
      const owned = held.filter((_, i) => resultOf(owners[i] as Outcome<string | null>) === userId);
      return owned.sort((a, b) => Number(b.generation) - Number(a.generation)).map(toDevice);
    },
  };
}

/** What a device's field holds begins with its generation, in clear: scripts compare it. */
function generationOf(text: string): string {
  return text.slice(0, text.indexOf(' '));
}

function toTime(generation: string): number {
  return Math.floor(Number(generation) / 1000);
}

function toDevice({ id, kind, platform, generation }: Held): Device {
  return { id, kind, platform, registeredAt: toTime(generation) };
}

/** A device as an address. */
export function toAddress({ id, kind, value, generation }: Held): DeviceAddress {
  return { kind, id, value, registeredAt: toTime(generation) };
}
