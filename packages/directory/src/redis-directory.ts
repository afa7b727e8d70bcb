import {
  type Address,
  CarillonError,
  type ChannelName,
  channelDefinition,
  type Preferences,
  type Profile,
  type ProfilePatch,
} from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Vault } from '@carillon/vault';
import { addressesFor } from './addresses.js';
import { createDeviceRecords } from './device-records.js';
import { Devices } from './devices.js';
import type { Directory } from './directory.js';
import { change, get, type Parts, set } from './person.js';
import { recipient, recipients } from './recipients.js';
import { isPublicEndpoint, readRegistration } from './registration.js';
import { standing } from './standing.js';
import { createSuppressions } from './suppressions.js';
import { fromToken, toToken } from './unsubscribe-token.js';
import { without } from './wishes.js';

export interface DirectoryParts {
  readonly redis: Redis;
  readonly vault: Vault;
  /** Whether a Web Push endpoint may be registered. Unless told: https, no credentials, a public name. */
  readonly allowEndpoint?: (url: URL) => boolean;
}

/** A directory in Redis. */
export function createDirectory({ redis, vault, allowEndpoint = isPublicEndpoint }: DirectoryParts): Directory {
  const records = createDeviceRecords({ redis, vault });
  const devices = new Devices(redis, vault, records);
  const suppressions = createSuppressions({ redis, vault });
  const parts = { redis, vault, records, suppressions };
  return {
    ...people(parts),

    devices: (userId) => devices.list(userId),
    addDevice: async (userId, registration) => devices.add(userId, readRegistration(registration, allowEndpoint)),
    removeDevice: (userId, deviceId) => devices.remove(userId, deviceId),
    pruneDevice: (userId, address) => devices.prune(userId, address),

    recipients: (userIds) => recipients(parts, userIds),
    standing: (deliveries) => standing(parts, deliveries),

    suppress: suppressions.stop,
    unsuppress: suppressions.lift,
    ...stops(parts),

    ...unsubscribing(parts),
    forget: (userId) => devices.forget(userId),
  };
}

/** Profiles and wishes. */
function people(parts: Parts): Pick<Directory, 'profile' | 'setProfile' | 'patchProfile' | 'preferences' | 'setPreferences'> {
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
  };
}

type StopParts = Parameters<typeof recipient>[0] & { readonly suppressions: ReturnType<typeof createSuppressions> };

/** Stops as their users see them. */
function stops(parts: StopParts): Pick<Directory, 'suppression' | 'liftSuppression'> {
  const { suppressions } = parts;
  /** The values an address of the user may have on a channel; none for whoever is reached by the user id itself. */
  const values = async (userId: string, channel: ChannelName, given: string | undefined) => {
    if (given !== undefined) return [given];
    const found = addressesFor(channelDefinition(channel), userId, await recipient(parts, userId));
    const addresses: readonly Address[] = 'none' in found ? [] : found.addresses;
    return addresses.filter(({ kind }) => kind !== 'user').map(({ value }) => value);
  };
  return {
    suppression: async (userId, channel, address) => suppressions.find(channel, await values(userId, channel, address)),
    async liftSuppression(userId, channel, address) {
      const lifted = await Promise.all((await values(userId, channel, address)).map((value) => suppressions.lift(channel, value)));
      if (!lifted.includes(true)) throw new CarillonError('SUPPRESSION_NOT_FOUND', { field: 'channel' });
    },
  };
}

function unsubscribing(parts: Parts): Pick<Directory, 'unsubscribeToken' | 'readUnsubscribeToken' | 'unsubscribe'> {
  return {
    unsubscribeToken: (about) => toToken(parts.vault, about),
    readUnsubscribeToken: (token) => fromToken(parts.vault, token),
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
