import { CarillonError } from '@carillon/contracts';
import { loadScript, type Outcome, type Redis } from '@carillon/redis';
import type { Vault } from '@carillon/vault';
import { resultOf } from './attempt.js';
import { type DeviceRecords, generationOf, type Held, toDevice, toTime } from './device-records.js';
import type { Device, DeviceAddress } from './directory.js';
import type { Registered } from './registration.js';

/** Devices a user has at most: more than anybody carries, few enough that one notification stays one small job. */
const MAX_DEVICES = 50;

const script = (name: string) => loadScript(new URL(`../lua/${name}.lua`, import.meta.url));
const scripts = {
  generation: script('generation'),
  hold: script('hold'),
  own: script('own'),
  drop: script('drop'),
  settle: script('settle'),
  release: script('release'),
  take: script('take'),
  read: script('read'),
};

/**
 * Devices live with their users, and whose a token is stands under the token: on a cluster two slots, which cannot change together. Every
 * registration of a token has a generation of its own and goes in this order: the user holds the device, the user owns the token, the owner
 * before drops the device. The latest generation owns, and nobody drops what is later than his own, so however registrations overlap, the
 * owner holds the device. One that breaks off leaves a device with somebody who is not the owner: `ownerKey` tells.
 */
export class Devices {
  readonly #redis: Redis;
  readonly #vault: Vault;
  readonly #records: DeviceRecords;

  constructor(redis: Redis, vault: Vault, records: DeviceRecords) {
    this.#redis = redis;
    this.#vault = vault;
    this.#records = records;
  }

  async add(userId: string, registered: Registered): Promise<Device> {
    const { idOf, ownerKey, field, seal } = this.#records;
    const key = await this.#vault.person(userId, 'make');
    const id = idOf(userId, registered);
    const owner = ownerKey(registered);
    const generation = await this.#redis.run<string>(scripts.generation, { keys: [owner], args: [] });
    const left = await this.#redis.run<string[]>(scripts.hold, {
      keys: [this.#redis.keys.person(userId)],
      args: [field(id), generation, seal(key, id, registered), MAX_DEVICES],
    });
    const own = { keys: [owner], args: [userId, generation] };
    const [won, before] = await this.#redis.run<[number, string]>(scripts.own, own);
    if (won === 0) await this.#drop(userId, id, generation);
    else if (before !== '' && before !== userId) {
      await this.#drop(before, idOf(before, registered), generation);
      await this.#redis.run(scripts.settle, own);
    }
    await this.#release(userId, left);
    // Removed, or erased with its user, before it was owned.
    if (won === 1 && (await this.#find(userId, id)) === null) await this.#redis.run(scripts.release, own);
    return toDevice({ ...registered, id, generation });
  }

  async remove(userId: string, id: string): Promise<void> {
    const text = this.#records.isId(id) ? await this.#find(userId, id) : null;
    if (text === null) throw new CarillonError('DEVICE_NOT_FOUND', { field: 'deviceId' });
    if (await this.#drop(userId, id, generationOf(text))) await this.#release(userId, [text]);
  }

  async prune(userId: string, { id = '', value, registeredAt }: DeviceAddress): Promise<boolean> {
    const text = await this.#find(userId, id);
    if (text === null) return false;
    const held = this.#records.open(await this.#vault.person(userId, 'leave'), id, text);
    if (held?.value !== value || (registeredAt !== undefined && registeredAt !== toTime(held.generation))) return false;
    if (!(await this.#drop(userId, id, held.generation))) return false;
    await this.#release(userId, [text]);
    return true;
  }

  /** The devices a user both holds and owns, the latest registration first. */
  async list(userId: string): Promise<Device[]> {
    const { ownerKey } = this.#records;
    const held = await this.#held(userId);
    const calls = held.map((device) => ({ keys: [ownerKey(device)], args: ['owner'] }));
    const owners = await this.#redis.batch<string | null>(scripts.read, [], calls);
    const owned = held.filter((_, i) => resultOf(owners[i] as Outcome<string | null>) === userId);
    return owned.sort((a, b) => Number(b.generation) - Number(a.generation)).map(toDevice);
  }

  /** Frees the tokens of all devices of a user, whoever can open them. */
  async #releaseAll(userId: string): Promise<void> {
    const fields = await this.#redis.command<string[]>('HGETALL', this.#redis.keys.person(userId));
    await this.#release(userId, this.#records.textsIn(fields));
  }

  /** Removes a user and frees the tokens of their devices. Answers whether there was something. */
  async forget(userId: string): Promise<boolean> {
    // First: should this break off, it can be repeated as long as the devices are there.
    await this.#releaseAll(userId);
    const fields = await this.#redis.run<string[]>(scripts.take, { keys: [this.#redis.keys.person(userId)], args: [] });
    // Again for those that were registered meanwhile.
    await this.#release(userId, this.#records.textsIn(fields));
    return fields.length > 0;
  }

  async #held(userId: string): Promise<Held[]> {
    const [key, fields] = await Promise.all([
      this.#vault.person(userId, 'leave'),
      this.#redis.command<string[]>('HGETALL', this.#redis.keys.person(userId)),
    ]);
    return this.#records.among(key, fields);
  }

  #find(userId: string, id: string): Promise<string | null> {
    return this.#redis.command<string | null>('HGET', this.#redis.keys.person(userId), this.#records.field(id));
  }

  async #drop(userId: string, id: string, generation: string): Promise<boolean> {
    const call = { keys: [this.#redis.keys.person(userId)], args: [this.#records.field(id), generation] };
    return (await this.#redis.run<number>(scripts.drop, call)) === 1;
  }

  /** Frees the tokens of devices that were dropped, by what their fields held. */
  async #release(userId: string, texts: readonly string[]): Promise<void> {
    const calls = texts.map((text) => ({ keys: [this.#records.ownerKeyIn(text)], args: [userId, generationOf(text)] }));
    await Promise.all(calls.map((call) => this.#redis.run(scripts.release, call)));
  }
}
