import {
  type Address,
  CarillonError,
  type ChannelName,
  channelDefinition,
  type Preferences,
  type Profile,
  type ProfilePatch,
} from '@carillon/contracts';
import { loadScript, type Outcome, type Redis } from '@carillon/redis';
import { installationSecret, type Vault } from '@carillon/vault';
import { addressesFor } from './addresses.js';
import { attempt, resultOf } from './attempt.js';
import { createDevices, toAddress } from './devices.js';
import type { Directory, Recipient } from './directory.js';
import { change, get, openField, set } from './person.js';
import { isPublicEndpoint, readRegistration } from './registration.js';
import { standing } from './standing.js';
import { createSuppressions } from './suppressions.js';
import { fromToken, toToken } from './unsubscribe-token.js';
import { without } from './wishes.js';

const all = loadScript(new URL('../lua/all.lua', import.meta.url));

export interface DirectoryParts {
  readonly redis: Redis;
  readonly vault: Vault;
  /** Whether a Web Push endpoint may be registered. Unless told: https, no credentials, a public name. */
  readonly allowEndpoint?: (url: URL) => boolean;
}

/** Whom nobody has told us of. */
const NOBODY: Recipient = Object.freeze({
  profile: Object.freeze({}),
  preferences: Object.freeze({}),
  devices: Object.freeze([]),
});

/** A directory in Redis. @throws REDIS_UNAVAILABLE, SEAL_BROKEN (other encryption keys than before) */
export async function createDirectory({ redis, vault, allowEndpoint = isPublicEndpoint }: DirectoryParts): Promise<Directory> {
  const secret = await installationSecret(redis, vault);
  const parts = { redis, vault, secret };
  const devices = createDevices(parts);
  const suppressions = createSuppressions(parts);

  const open = (userId: string, fields: readonly string[]): Recipient => {
    if (fields.length === 0) return NOBODY;
    const kept = <T>(field: string): T | undefined => {
      const at = fields.indexOf(field);
      return at % 2 === 0 ? openField<T>(vault, userId, field, fields[at + 1] as string) : undefined;
    };
    return {
      profile: kept<Profile>('profile') ?? {},
      preferences: kept<Preferences>('preferences') ?? {},
      devices: devices.among(userId, fields).map(toAddress),
    };
  };
  const recipients = async (userIds: readonly string[]): Promise<Outcome<Recipient>[]> => {
    const distinct = [...new Set(userIds)];
    const calls = distinct.map((userId) => ({ keys: [redis.keys.person(userId)], args: [] }));
    const outcomes = await redis.batch<string[]>(all, [], calls);
    const opened = new Map(distinct.map((userId, i) => [userId, attempt(() => open(userId, resultOf(outcomes[i] as Outcome<string[]>)))]));
    return userIds.map((userId) => opened.get(userId) as Outcome<Recipient>);
  };
  /** A user's own addresses on a channel; none for whoever is reached by the user id itself. */
  const ownAddresses = async (userId: string, channel: ChannelName): Promise<readonly Address[]> => {
    const [recipient] = (await recipients([userId])) as [Outcome<Recipient>];
    const found = addressesFor(channelDefinition(channel), userId, resultOf(recipient));
    return 'none' in found ? [] : found.addresses.filter(({ kind }) => kind !== 'user');
  };

  return {
    async profile(userId) {
      const profile = await get(parts, userId, 'profile');
      if (!profile) throw new CarillonError('USER_NOT_FOUND', { field: 'userId' });
      return profile;
    },
    setProfile: (userId, profile) => set(parts, userId, 'profile', profile),
    patchProfile: (userId, patch) => change(parts, userId, 'profile', (current) => merge(current, patch)),
    preferences: async (userId) => (await get(parts, userId, 'preferences')) ?? {},
    setPreferences: (userId, preferences) => set(parts, userId, 'preferences', preferences),

    devices: devices.list,
    addDevice: async (userId, registration) => devices.add(userId, readRegistration(registration, allowEndpoint)),
    removeDevice: devices.remove,
    pruneDevice: devices.prune,

    recipients,
    standing: (deliveries) => standing({ ...parts, devices, suppressions }, deliveries),

    suppress: suppressions.stop,
    unsuppress: suppressions.lift,
    suppression: async (userId, channel) => suppressions.find(channel, await ownAddresses(userId, channel)),
    async liftSuppression(userId, channel) {
      const addresses = await ownAddresses(userId, channel);
      const lifted = await Promise.all(addresses.map(({ value }) => suppressions.lift(channel, value)));
      if (!lifted.includes(true)) throw new CarillonError('SUPPRESSION_NOT_FOUND', { field: 'channel' });
    },

    unsubscribeToken: (about) => toToken(vault, about),
    readUnsubscribeToken: (token) => fromToken(vault, token),
    async unsubscribe({ userId, ...matter }) {
      const nothing: Preferences = {};
      await change(parts, userId, 'preferences', (current = nothing) => without(current, matter));
    },
  };
}

/** A profile with a change made: null removes, absent stays. */
function merge(profile: Profile = {}, patch: ProfilePatch): Profile {
  const changes = Object.entries(patch).filter(([, value]) => value !== undefined);
  const merged = { ...profile, ...Object.fromEntries(changes) };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null)) as Profile;
}
