import { randomUUID } from 'node:crypto';
import { createProviderChannel, type Message, type Provider } from '@carillon/channel';
import { type ChannelItem, channelDefinition } from '@carillon/contracts';
import { createDirectory, type Directory } from '@carillon/directory';
import { createRedis, type Redis } from '@carillon/redis';
import { startRedis, type TestRedis } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

let server: TestRedis;
let redis: Redis;
let directory: Directory;
beforeAll(async () => {
  server = await startRedis();
  redis = await createRedis({ url: server.url }, { prefix: 'wishes-test:', temper: 'patient' });
  directory = createDirectory({ redis, vault: await memoryVault() });
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});

const item = (more: Partial<ChannelItem>): ChannelItem => ({
  id: randomUUID(),
  userId: 'ann',
  templateId: 't',
  priority: 'normal',
  channels: ['email'],
  createdAt: 1,
  to: { kind: 'email', value: 'ann@example.com' },
  content: { text: 'x' },
  ...more,
});

test('a delivery that waited asks again whether its category is wanted, unless it is required', async () => {
  const provider: Provider = {
    name: 'p',
    kinds: ['email'],
    send: async (messages: readonly Message[]) => messages.map(() => ({ ok: true })),
  };
  const definition = channelDefinition('email');
  const channel = createProviderChannel({
    definition,
    providers: [provider],
    sandbox: provider,
    isLive: () => true,
    directory,
    awaitEcho: 0,
  });
  await directory.setProfile('ann', { email: 'ann@example.com' });
  const waiting = [item({ category: 'news' }), item({ category: 'news', required: true }), item({ category: 'tips' }), item({})];
  const permit = async () => channel.permit?.(waiting);
  expect(await permit()).toEqual([undefined, undefined, undefined, undefined]);
  await directory.unsubscribe({ userId: 'ann', channel: 'email', category: 'news' });
  expect(await permit()).toEqual([{ ok: true, status: 'skipped', reason: 'preference' }, undefined, undefined, undefined]);
});
