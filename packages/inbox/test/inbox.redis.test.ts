import { createInbox, LOG_MAX_ENTRIES } from '@carillon/inbox';
import { inboxConformance, TEST_LIMITS, testItem } from '@carillon/inbox/testing';
import { createRedis, type Redis } from '@carillon/redis';
import { redisPlaces, startRedis, waitFor } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const vault = await memoryVault();
const PREFIX = 'inbox-test:';

describe.each(Object.entries(redisPlaces))('on %s', (_name, start) => {
  let place: Awaited<ReturnType<typeof start>>;
  let redis: Redis;
  const open = () => createInbox({ redis, vault, limits: TEST_LIMITS });

  beforeAll(async () => {
    place = await start();
    redis = await createRedis({ url: place.url }, { prefix: PREFIX, temper: 'patient' });
  });
  afterAll(async () => {
    await redis?.close();
    await place?.stop();
  });

  for (const { name, run } of inboxConformance(async () => open())) test(name, run);

  test('one append of many users reaches each of them', async () => {
    const inbox = open();
    const items = Array.from({ length: 100 }, (_, i) => testItem(`crowd-${i % 50}`));
    const results = await inbox.append(items);
    expect(results.every((result) => result.ok && result.value === 'stored')).toBe(true);
    for (let i = 0; i < 50; i++) expect((await inbox.head(`crowd-${i}`)).unreadCount).toBe(2);
  });

  test('an item that breaks fails alone', async () => {
    await redis.command('SET', redis.keys.inbox('broken')[1], 'not a sorted set');
    const results = await open().append([testItem('sound-1'), testItem('broken'), testItem('sound-2')]);
    expect(results.map((result) => result.ok)).toEqual([true, false, true]);
  });
});

describe('in Redis', () => {
  let server: Awaited<ReturnType<typeof startRedis>>;
  let redis: Redis;

  beforeAll(async () => {
    server = await startRedis();
    redis = await createRedis({ url: server.url }, { prefix: PREFIX, temper: 'patient' });
  });
  afterAll(async () => {
    await redis?.close();
    await server?.stop();
  });

  test('nothing of a body is readable at rest', async () => {
    const inbox = createInbox({ redis, vault, limits: { maxItems: 2, retention: 1e9 } });
    const canary = 'CANARY-5f1c';
    for (let i = 0; i < 4; i++) await inbox.append([testItem('u', { content: { title: canary, body: canary }, data: { canary } })]);
    const dump: string[] = [];
    for (const key of await redis.command<string[]>('KEYS', '*')) {
      const type = await redis.command<string>('TYPE', key);
      if (type === 'hash') dump.push(...(await redis.command<string[]>('HGETALL', key)));
      if (type === 'stream') dump.push(JSON.stringify(await redis.command('XRANGE', key, '-', '+')));
    }
    expect(dump.join('\n')).not.toContain(canary);
    expect(dump.length).toBeGreaterThan(4);
  });

  test('the log is bounded: who missed more reads a snapshot', async () => {
    const inbox = createInbox({ redis, vault, limits: { maxItems: 10, retention: 1e9 } });
    const start = await inbox.head('busy');
    await inbox.append(Array.from({ length: LOG_MAX_ENTRIES }, () => testItem('busy')));
    expect((await inbox.since('busy', start)).recovered).toBe(false);
    const head = await inbox.head('busy');
    const last = await inbox.since('busy', { ...head, offset: head.offset - 20 });
    expect(last.recovered && last.changes.length).toBe(20);
  });

  test('every key of a user expires', async () => {
    const inbox = createInbox({ redis, vault, limits: { maxItems: 10, retention: 3600_000 } });
    await inbox.append([testItem('mortal'), testItem('mortal')]);
    await inbox.markAllAsRead('mortal');
    await inbox.append([testItem('mortal')]);
    const keys = await redis.command<string[]>('KEYS', `${PREFIX}*mortal*`);
    expect(keys.length).toBe(4);
    for (const key of keys) expect([key, (await redis.command<number>('PTTL', key)) > 0]).toEqual([key, true]);
  });

  test('ids of removed items are remembered longer than the items', async () => {
    const inbox = createInbox({ redis, vault, limits: { maxItems: 1, retention: 3600_000 } });
    await inbox.append([testItem('forgetful'), testItem('forgetful', { createdAt: Date.now() + 1 })]);
    expect(await redis.command<number>('PTTL', redis.keys.inbox('forgetful')[2])).toBeGreaterThan(30 * 24 * 3600_000);
    expect(await redis.command<number>('PTTL', redis.keys.inbox('forgetful')[0])).toBeLessThan(26 * 3600_000);
  });

  test('who could not be told what was read is told again', async () => {
    const told: (readonly string[])[] = [];
    const onRead = async (ids: readonly string[]) => {
      told.push(ids);
      if (told.length === 1) throw new Error('Redis went away');
    };
    const inbox = createInbox({ redis, vault, limits: { maxItems: 10, retention: 1e9 }, onRead });
    const items = [testItem('told'), testItem('told')];
    await inbox.append(items);
    await expect(inbox.markAllAsRead('told')).rejects.toThrow();
    await inbox.markAllAsRead('told');
    expect(told.map((ids) => [...ids].sort())).toEqual([items.map(({ id }) => id).sort(), items.map(({ id }) => id).sort()]);
    expect((await inbox.head('told')).offset).toBe(3);
  });

  test('a body under a lost key is shown empty and harms no other', async () => {
    const inbox = createInbox({ redis, vault, limits: { maxItems: 10, retention: 1e9 } });
    await inbox.append([testItem('locked')]);
    const other = createInbox({
      redis,
      vault: await memoryVault(),
      limits: { maxItems: 10, retention: 1e9 },
    });
    await other.append([testItem('locked')]);
    const { data } = await other.page('locked', { limit: 10 });
    expect(data.map(({ error }) => error).sort()).toEqual([null, 'SEAL_BROKEN'].sort());
  });

  test('tells of a gap when the subscription was lost, and goes on after it', async () => {
    const inbox = createInbox({ redis, vault, limits: { maxItems: 10, retention: 1e9 } });
    let gaps = 0;
    const heard: number[] = [];
    inbox.onGap(() => gaps++);
    await inbox.follow('cut', (change) => heard.push(change.offset));
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await waitFor(() => gaps > 0, { what: 'the gap to be told' });
    await inbox.append([testItem('cut')]);
    await waitFor(() => heard.includes(1), { what: 'a change after the gap' });
    await inbox.close();
  });
});
