import { randomUUID } from 'node:crypto';
import type { ChannelName } from '@carillon/contracts';
import { createDirectory, type DeviceAddress, type Directory, type Recipient } from '@carillon/directory';
import { createRedis, type Outcome, type Redis } from '@carillon/redis';
import { redisPlaces } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';

export const vault = await memoryVault();
export const code = (name: string) => expect.objectContaining({ code: name });
export const newUser = () => `user|${randomUUID()}`;
export const fcm = (token: string = randomUUID()) => ({ fcm: { token } });
export const web = (endpoint = `https://push.example/${randomUUID()}`, auth = 1) => ({
  web: {
    endpoint,
    keys: { p256dh: Buffer.alloc(65, 4).toString('base64url'), auth: Buffer.alloc(16, auth).toString('base64url') },
  },
});

/** A directory in a Redis, to be had within tests. */
export interface Setting {
  readonly url: string;
  readonly redis: Redis;
  readonly directory: Directory;
}

/** Describes what is to hold on one Redis and on a cluster. */
export function describeEverywhere(tests: (at: Setting) => void): void {
  describe.each(Object.entries(redisPlaces))('on %s', (_name, start) => {
    let place: Awaited<ReturnType<typeof start>>;
    let redis: Redis;
    let directory: Directory;

    beforeAll(async () => {
      place = await start();
      redis = await createRedis({ url: place.url }, { prefix: 'directory-test:', temper: 'patient' });
      directory = createDirectory({ redis, vault });
    });
    afterAll(async () => {
      await redis?.close();
      await place?.stop();
    });
    tests({
      get url() {
        return place.url;
      },
      get redis() {
        return redis;
      },
      get directory() {
        return directory;
      },
    });
  });
}

export async function recipient({ directory }: Setting, userId: string): Promise<Recipient> {
  const [outcome] = (await directory.recipients([userId])) as [Outcome<Recipient>];
  if (!outcome.ok) throw outcome.error;
  return outcome.value;
}

/** Registers a device and gives its address, as a renderer would have it. */
export async function register(at: Setting, userId: string, registration: object = fcm()): Promise<DeviceAddress> {
  const { id } = await at.directory.addDevice(userId, registration);
  return (await recipient(at, userId)).devices.find((device) => device.id === id) as DeviceAddress;
}

/** Why nothing may go to an address, if so. */
export async function stand({ directory }: Setting, userId: string, to: DeviceAddress, channel: ChannelName = 'push') {
  const [outcome] = await directory.standing([{ userId, channel, to }]);
  if (!outcome?.ok) throw outcome?.error;
  return outcome.value;
}
