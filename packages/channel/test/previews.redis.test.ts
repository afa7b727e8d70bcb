import { randomBytes } from 'node:crypto';
import { createPreviews, type Preview } from '@carillon/channel';
import { createRedis, type Redis } from '@carillon/redis';
import { startRedis, type TestRedis } from '@carillon/testkit';
import { createVault } from '@carillon/vault';
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

const key = (kid: string) => `${kid}:${randomBytes(32).toString('base64')}`;
const preview = (id: string): Preview => ({ id, channel: 'email', to: 'ann@example.com', content: { text: id }, at: 1 });

test('what was sealed with a key that was dropped is not kept for anybody, and all else still is', async () => {
  const [older, newer] = [key('old'), key('new')];
  await createPreviews({ redis, vault: createVault(older) }).add([preview('before')]);
  await createPreviews({ redis, vault: createVault(`${newer},${older}`) }).add([preview('after')]);
  const previews = createPreviews({ redis, vault: createVault(newer) });
  expect(await previews.list(10)).toEqual([preview('after')]);
  expect(await previews.get('after')).toEqual(preview('after'));
  expect(await previews.get('before')).toBeUndefined();
  expect(await createPreviews({ redis, vault: createVault(`${newer},${older}`) }).list(10)).toEqual([preview('after'), preview('before')]);
});
