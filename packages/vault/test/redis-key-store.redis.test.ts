import { createRedis, type Redis } from '@carillon/redis';
import { redisPlaces } from '@carillon/testkit';
import { createKeyRing, openVault, redisKeyStore } from '@carillon/vault';
import { keyStoreConformance, testRing } from '@carillon/vault/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

describe.each(Object.entries(redisPlaces))('keys on %s', (_name, start) => {
  let place: Awaited<ReturnType<typeof start>>;
  let redis: Redis;

  beforeAll(async () => {
    place = await start();
    redis = await createRedis({ url: place.url }, { prefix: 'vault-test:', temper: 'prompt' });
  });
  afterAll(async () => {
    await redis?.close();
    await place?.stop();
  });

  for (const { name, run } of keyStoreConformance(async () => redisKeyStore(redis, true))) test(name, run);

  test('a thousand people at once, none of whom can be told from what is stored', async () => {
    const parts = { provider: createKeyRing(testRing()), store: redisKeyStore(redis, false) };
    const [one, other] = [await openVault(parts), await openVault(parts)];
    const users = Array.from({ length: 1000 }, (_, i) => `patient-${i}@clinic.example`);
    const [made, found] = [await one.people(users, 'make'), await other.people(users, 'leave')];
    for (const user of users) expect(found.get(user)?.open('job', 'j', made.get(user)?.seal('job', 'j', user) as string)).toBe(user);
    for await (const entries of parts.store.all('person')) expect(JSON.stringify(entries)).not.toContain('clinic');
  });
});

test('a key store of its own that is away is told by its own code', async () => {
  const [, start] = Object.entries(redisPlaces)[0] as [string, (typeof redisPlaces)[keyof typeof redisPlaces]];
  const place = await start();
  const redis = await createRedis({ url: place.url }, { prefix: 'vault-away:', temper: 'prompt' });
  const vault = await openVault({ provider: createKeyRing(testRing()), store: redisKeyStore(redis, true) });
  await place.stop();
  await expect(vault.people(['ada'], 'make')).rejects.toEqual(expect.objectContaining({ code: 'KEY_STORE_UNAVAILABLE' }));
  await redis.close();
});
