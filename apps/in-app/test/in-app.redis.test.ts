import { channelConformance } from '@carillon/channel/testing';
import { createInAppChannel } from '@carillon/in-app';
import { createInbox, createMemoryInbox, type Inbox } from '@carillon/inbox';
import { createRedis, type Redis } from '@carillon/redis';
import { startRedis } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const limits = { maxItems: 500, retention: 3600_000 };
/** What the log told the user's sockets, not what the list shows: a list would hide that one was announced twice. */
const received = (inbox: Inbox) => async (userId: string) => {
  const { epoch } = await inbox.head(userId);
  const log = await inbox.since(userId, { epoch, offset: 0 });
  return log.recovered ? log.changes.flatMap((change) => (change.event === 'new' ? [change.notification.id] : [])) : [];
};
const under = (inbox: Inbox) => ({ channel: createInAppChannel(inbox), received: received(inbox) });

let server: Awaited<ReturnType<typeof startRedis>>;
let redis: Redis;
const vault = await memoryVault();

beforeAll(async () => {
  server = await startRedis();
  redis = await createRedis({ url: server.url }, { prefix: 'in-app-test:', temper: 'prompt' });
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});

describe('over an inbox in Redis', () => {
  for (const { name, run } of channelConformance(async () => under(createInbox({ redis, vault, limits })))) test(name, run);
});

describe('over an inbox in memory', () => {
  for (const { name, run } of channelConformance(async () => under(createMemoryInbox(limits)))) test(name, run);
});

describe('the suite', () => {
  test('fails a channel that shows a repeat twice, and one that forgets an answer', async () => {
    const shown = new Map<string, string[]>();
    const careless = async () => ({
      channel: {
        definition: createInAppChannel(createMemoryInbox(limits)).definition,
        deliver: async (items: readonly { id: string; userId: string }[]) => {
          for (const { id, userId } of items) shown.set(userId, [...(shown.get(userId) ?? []), id]);
          return items.slice(1).map(() => ({ ok: true, status: 'delivered' }) as const);
        },
      },
      received: async (userId: string) => shown.get(userId) ?? [],
    });
    const verdicts = await Promise.all(
      channelConformance(careless).map(({ run }) =>
        run().then(
          () => 'passed',
          () => 'failed',
        ),
      ),
    );
    expect(verdicts.filter((verdict) => verdict === 'failed').length).toBeGreaterThanOrEqual(3);
  });
});
