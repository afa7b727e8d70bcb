import { createPreviews, type Preview } from '@carillon/channel';
import { createRedis, type Redis } from '@carillon/redis';
import { startRedis, type TestRedis } from '@carillon/testkit';
import { createKeyRing } from '@carillon/vault';
import { memoryKeyStore, memoryVault, testRing } from '@carillon/vault/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = await createRedis({ url: server.url }, { prefix: 'previews-test:', temper: 'patient' });
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});

const preview = (id: string, userId: string): Preview => ({
  id,
  userId,
  channel: 'email',
  to: 'ann@example.com',
  content: { text: id },
  at: 1,
});

test('of somebody who was erased nothing is kept for anybody, and all else still is', async () => {
  const vault = await memoryVault();
  const previews = createPreviews({ redis, vault });
  await previews.add([preview('before', 'ann')]);
  await previews.add([preview('after', 'bo')]);
  expect(await previews.list(10)).toEqual([preview('after', 'bo'), preview('before', 'ann')]);
  await vault.destroy('ann');
  await previews.add([preview('late', 'ann')]);
  expect(await previews.list(10)).toEqual([preview('after', 'bo')]);
  expect(await previews.get('after')).toEqual(preview('after', 'bo'));
  expect(await previews.get('before')).toBeUndefined();
  expect(await createPreviews({ redis, vault: await memoryVault() }).list(10)).toEqual([]);
});

test('what was created before its user was erased is not kept when they are back', async () => {
  const vault = await memoryVault();
  const previews = createPreviews({ redis, vault });
  const before = Date.now();
  const { until } = await vault.destroy('cy');
  await vault.release(vault.nameOf('cy'), until);
  const later = Date.now() + 1;
  const both = [
    { ...preview('late', 'cy'), at: later },
    { ...preview('new', 'cy'), at: later },
  ];
  await previews.add(both, [before, later]);
  expect((await previews.list(10)).filter(({ userId }) => userId === 'cy')).toEqual([both[1]]);
});

test('a user whose key cannot seal costs nobody else a preview', async () => {
  const [store, strange] = [memoryKeyStore(), createKeyRing(testRing('strange'))];
  const vault = await memoryVault({ store });
  const name = vault.nameOf('dee');
  await store.add('person', [[name, JSON.stringify({ id: 'x', wrapped: await strange.wrap(Buffer.alloc(32), `person ${name}`) })]]);
  const previews = createPreviews({ redis, vault });
  await previews.add([preview('of-ed', 'ed'), preview('of-dee', 'dee'), preview('of-fay', 'fay')]);
  expect((await previews.list(2)).map(({ id }) => id)).toEqual(['of-fay', 'of-ed']);
});
