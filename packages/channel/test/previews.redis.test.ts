import { createPreviews, type Preview } from '@carillon/channel';
import { createRedis, type Redis } from '@carillon/redis';
import { startRedis, type TestRedis } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
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
