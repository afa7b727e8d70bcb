import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRedis, type Redis } from '@carillon/redis';
import { startRedis, type TestRedis } from '@carillon/testkit';
import { connectVault, type VaultSettings } from '@carillon/vault';
import { testRing } from '@carillon/vault/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const code = (name: string) => expect.objectContaining({ code: name });
const ring = testRing();
const folder = mkdtempSync(join(tmpdir(), 'key-store-'));
let queues: TestRedis;
let keys: TestRedis;
const opened: Redis[] = [];
const open = async (prefix: string, settings: Partial<VaultSettings> = {}, store?: string) => {
  const redis = await createRedis({ url: queues.url }, { prefix, temper: 'prompt' });
  opened.push(redis);
  const defer = (_what: string, close: () => Promise<void>) => void opened.push({ close } as Redis);
  return connectVault({ encryptionKeys: ring, redisPrefix: prefix, ...settings }, { redis, folder: store, defer });
};

beforeAll(async () => {
  [queues, keys] = await Promise.all([startRedis(), startRedis()]);
});
afterAll(async () => {
  for (const redis of opened) await redis.close();
  await Promise.all([queues?.stop(), keys?.stop()]);
  rmSync(folder, { recursive: true });
});

test.each([
  ['in the Redis of the queues', () => ({}), undefined],
  ['in a Redis of their own', () => ({ keysRedisUrl: keys.url }), undefined],
  ['in files', () => ({}), folder],
])('keys %s are found again', async (name, settings, store) => {
  const prefix = `${name.replaceAll(' ', '-')}:`;
  const sealed = (await (await open(prefix, settings(), store)).people(['ada'], 'make')).get('ada')?.seal('job', 'j', 'text') as string;
  const again = await (await open(prefix, settings(), store)).people(['ada'], 'leave');
  expect(again.get('ada')?.open('job', 'j', sealed)).toBe('text');
});

test('keys of their own Redis are nowhere in that of the queues', async () => {
  await (await open('apart:', { keysRedisUrl: keys.url })).people(['ada'], 'make');
  const redis = opened[0] as Redis;
  for await (const found of redis.scan('apart:*', 100)) expect(found.filter((key) => key !== 'apart:installation')).toEqual([]);
});

test('another key store than before, or an empty one, is refused before anything is sealed', async () => {
  await open('moved:', { keysRedisUrl: keys.url });
  await expect(open('moved:')).rejects.toEqual(code('CONFIGURATION_INVALID'));
  await expect(open('moved:', {}, folder)).rejects.toEqual(code('CONFIGURATION_INVALID'));
  await expect(open('moved:', { keysRedisUrl: keys.url, encryptionKeys: testRing() })).rejects.toEqual(code('SEAL_BROKEN'));
  await open('moved:', { keysRedisUrl: keys.url });
});
