import { CarillonError } from '@carillon/contracts';
import { createInbox, type InboxChange, LOG_MAX_ENTRIES } from '@carillon/inbox';
import { inboxConformance, TEST_LIMITS, testItem } from '@carillon/inbox/testing';
import { createRedis, type Redis } from '@carillon/redis';
import { redisPlaces, startRedis, waitFor } from '@carillon/testkit';
import { createKeyRing, type KeyStore, type Vault } from '@carillon/vault';
import { memoryKeyStore, memoryVault, testRing } from '@carillon/vault/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const vault = await memoryVault();
const PREFIX = 'inbox-test:';

/** Erases a user and lets them come back. */
async function eraseAndRelease(own: Vault, userId: string): Promise<void> {
  const { until } = await own.destroy(userId);
  await own.release(own.nameOf(userId), until);
}
/** When something can be created after an erasure that is over. */
const afterwards = () => Date.now() + 1;

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

  for (const { name, run } of inboxConformance(async (told) => createInbox({ redis, vault, limits: TEST_LIMITS, ...told })))
    test(name, run);

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

  test('an item whose user’s key cannot seal fails alone', async () => {
    const [store, strange] = [memoryKeyStore(), createKeyRing(testRing('strange'))];
    const own = await memoryVault({ store });
    const name = own.nameOf('locked');
    await store.add('person', [[name, JSON.stringify({ id: 'x', wrapped: await strange.wrap(Buffer.alloc(32), `person ${name}`) })]]);
    const results = await createInbox({ redis, vault: own, limits: TEST_LIMITS }).append(
      ['sound-3', 'locked', 'sound-4'].map((user) => testItem(user)),
    );
    expect(results.map((result) => result.ok)).toEqual([true, false, true]);
  });

  test('what was created before its user was erased stays out when they are back', async () => {
    const own = await memoryVault();
    const inbox = createInbox({ redis, vault: own, limits: TEST_LIMITS });
    const late = testItem('back');
    await eraseAndRelease(own, 'back');
    const items = [late, testItem('back', { createdAt: afterwards() }), testItem('others')];
    expect((await inbox.append(items)).map((result) => result.ok && result.value)).toEqual(['erased', 'stored', 'stored']);
    expect((await inbox.page('back', { limit: 10 })).data.map(({ id }) => id)).toEqual([items[1]?.id]);
  });

  test('purging removes what a restore has brought back of before the erasure, and only that, as logged deletions', async () => {
    const own = await memoryVault();
    const inbox = createInbox({ redis, vault: own, limits: TEST_LIMITS });
    const [read, unread] = [testItem('restored', { createdAt: 1e12 }), testItem('restored', { createdAt: 2e12 })];
    await redis.command('DEL', ...redis.keys.inbox('restored').slice(0, 5));
    await createInbox({ redis, vault: own, limits: { maxItems: 10, retention: 1e13 } }).append([read, unread]);
    await inbox.markAsRead('restored', read.id);
    await eraseAndRelease(own, 'restored');
    const fresh = testItem('restored', { createdAt: afterwards() });
    const limits = { maxItems: 10, retention: 1e13 };
    const lasting = createInbox({ redis, vault: own, limits });
    await lasting.append([fresh]);
    const before = await lasting.head('restored');
    expect(before.unreadCount).toBe(2);

    expect(await lasting.purge('restored')).toBe(2);
    const { data, unreadCount } = await lasting.page('restored', { limit: 10 });
    expect([data.map(({ id, error }) => [id, error]), unreadCount]).toEqual([[[fresh.id, null]], 1]);
    const missed = await lasting.since('restored', before);
    expect(missed.recovered && missed.changes.map((change) => [change.event, change.offset - before.offset, change.unreadCount])).toEqual(
      expect.arrayContaining([
        ['deleted', 1, expect.any(Number)],
        ['deleted', 2, 1],
      ]),
    );
    expect(await lasting.purge('restored')).toBe(0);
    expect(await lasting.append([{ ...read, createdAt: afterwards() }])).toEqual([{ ok: true, value: 'repeated' }]);
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
    // Once it is told, nobody is told by marking nothing.
    await inbox.markAllAsRead('told');
    expect(told.length).toBe(2);
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

  test('what changes while a narrowed page is read is still to come by the log', async () => {
    const limits = { maxItems: 1000, retention: 1e9 };
    const beside = createInbox({ redis, vault, limits });
    const items = Array.from({ length: 250 }, (_, i) => testItem('narrow', { createdAt: Date.now() - 1000 + i, category: 'care' }));
    await beside.append(items);
    const before = await beside.head('narrow');
    const [oldest] = items.map(({ id }) => id) as [string];
    let steps = 0;
    const meddling: Vault = {
      ...vault,
      async person(...args) {
        if (++steps === 2) await beside.mark('narrow', oldest, 'archived');
        return vault.person(...args);
      },
    };
    const inbox = createInbox({ redis, vault: meddling, limits });
    const page = await inbox.page('narrow', { limit: 100, offset: 200, category: 'care' });
    expect(steps).toBeGreaterThan(2);
    expect({ epoch: page.epoch, offset: page.offset, unreadCount: page.unreadCount }).toEqual(before);
    const missed = await inbox.since('narrow', page);
    expect(missed.recovered && missed.changes).toMatchObject([
      { event: 'archived', offset: before.offset + 1, notification: { id: oldest } },
    ]);
  });

  test('when Redis has no room an inbox can be read, and what is removed or too old leaves with its count', async () => {
    const inbox = createInbox({ redis, vault, limits: { maxItems: 10, retention: 500 } });
    const items = [0, 1, 2].map((i) => testItem('full', { createdAt: Date.now() + (i === 0 ? 0 : 60_000 * i) }));
    await inbox.append(items);
    await redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
    try {
      await inbox.remove('full', items[1]?.id as string);
      await expect(inbox.mark('full', items[2]?.id as string, 'archived')).rejects.toMatchObject({ code: 'QUEUE_FULL' });
      await waitFor(async () => (await inbox.page('full', { limit: 10 })).data.length === 1, { what: 'the oldest to leave' });
      expect(await inbox.page('full', { limit: 10 })).toMatchObject({
        data: [{ id: items[2]?.id, archivedAt: null }],
        unreadCount: 1,
        offset: 5,
      });
    } finally {
      await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    }
  });

  test('without the key of its user a notification is not marked', async () => {
    const inbox = createInbox({ redis, vault, limits: { maxItems: 10, retention: 1e9 } });
    const item = testItem('keyless');
    await inbox.append([item]);
    const before = await inbox.head('keyless');
    const away: Vault = { ...vault, person: () => Promise.reject(new CarillonError('KEY_STORE_UNAVAILABLE')) };
    const other = createInbox({ redis, vault: away, limits: { maxItems: 10, retention: 1e9 } });
    await expect(other.mark('keyless', item.id, 'archived')).rejects.toMatchObject({ code: 'KEY_STORE_UNAVAILABLE' });
    expect(await inbox.head('keyless')).toEqual(before);
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

  test('who comes to follow when the inbox is closed, or while it closes, is refused and leaves no connection', async () => {
    const listening = async () => (await redis.command<string[]>('PUBSUB', 'CHANNELS', '*too-late*')).length;
    for (const isFollowed of [true, false]) {
      const slow = { wait: Promise.resolve() };
      const waiting: Vault = { ...vault, person: (...args) => slow.wait.then(() => vault.person(...args)) };
      const inbox = createInbox({ redis, vault: waiting, limits: { maxItems: 10, retention: 1e9 } });
      if (isFollowed) await inbox.follow('others', () => {});
      let goOn = () => {};
      slow.wait = new Promise((resolve) => {
        goOn = resolve;
      });
      const late = inbox.follow('too-late', () => {});
      const refused = expect(late).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
      await inbox.close();
      goOn();
      await refused;
      expect(await listening()).toBe(0);
    }
  });

  describe('who follows beyond an erasure', () => {
    /** A follower whose key store answers when `gate` is opened, and an inbox beside it that writes with the user's new key. */
    const beyond = async (userId: string) => {
      const parts = { provider: createKeyRing(testRing()), store: memoryKeyStore(), cacheMs: 1 };
      const gate = { isOpen: true, fails: false, open: () => {} };
      const waits = () => new Promise<void>((resolve) => (gate.open = resolve));
      const gated: KeyStore = {
        ...parts.store,
        async get(...args) {
          if (!gate.isOpen) await waits();
          if (gate.fails) throw new CarillonError('KEY_STORE_UNAVAILABLE');
          return parts.store.get(...args);
        },
      };
      const limits = { maxItems: 1000, retention: 1e9 };
      const [writing, reading] = [await memoryVault(parts), await memoryVault({ ...parts, store: gated })];
      const [writer, follower] = [createInbox({ redis, vault: writing, limits }), createInbox({ redis, vault: reading, limits })];
      const heard: InboxChange[] = [];
      let settled = 0;
      await follower.follow(userId, (change) => heard.push(change));
      await follower.follow(`${userId}-beside`, () => settled++);
      await eraseAndRelease(writing, userId);
      await waitFor(async () => (await reading.person(userId, 'leave')).isThere === false, { what: 'the old key to be let go' });
      const append = (count: number) =>
        writer.append(Array.from({ length: count }, (_, i) => testItem(userId, { createdAt: afterwards() + i })));
      /** What was announced until now has been heard: another user's announcement comes behind it on the same connection. */
      const settle = async () => {
        const before = settled;
        await writer.append([testItem(`${userId}-beside`)]);
        await waitFor(() => settled > before, { what: 'all announcements' });
      };
      return { gate, heard, append, settle, writer, follower };
    };
    const told = (changes: readonly InboxChange[]) =>
      changes.map((change) => [change.offset, 'notification' in change ? change.notification.error : change.event]);

    test('hears all that is said after it, in order, however long the new key takes', async () => {
      const { gate, heard, append, settle, writer, follower } = await beyond('beyond-1');
      gate.isOpen = false;
      await append(3);
      await writer.markAllAsRead('beyond-1');
      await settle();
      expect(heard).toEqual([]);
      gate.open();
      await waitFor(() => heard.length === 4, { what: 'what waited' });
      gate.isOpen = true;
      await append(1);
      await settle();
      expect(told(heard)).toEqual([
        [1, null],
        [2, null],
        [3, null],
        [4, 'allRead'],
        [5, null],
      ]);
      await follower.close();
    });

    test('is left to read the log for what no key could be had for, or what was too much to wait', async () => {
      const { gate, heard, append, settle, follower } = await beyond('beyond-2');
      gate.fails = true;
      await append(3);
      await settle();
      expect(heard).toEqual([]);
      Object.assign(gate, { isOpen: false, fails: false });
      await append(300);
      await settle();
      gate.open();
      await waitFor(() => heard.length > 0, { what: 'what waited' });
      gate.isOpen = true;
      await append(1);
      await settle();
      expect(heard.map(({ offset }) => offset)).toEqual([...Array.from({ length: 256 }, (_, i) => 4 + i), 304]);
      await follower.close();
    });

    test('is shown what does not open even so without its words', async () => {
      const heard: InboxChange[] = [];
      const limits = { maxItems: 10, retention: 1e9 };
      const follower = createInbox({ redis, vault: await memoryVault(), limits });
      await follower.follow('beyond-3', (change) => heard.push(change));
      await createInbox({ redis, vault: await memoryVault(), limits }).append([testItem('beyond-3'), testItem('beyond-3')]);
      await waitFor(() => heard.length === 2, { what: 'both changes' });
      expect(told(heard)).toEqual([
        [1, 'SEAL_BROKEN'],
        [2, 'SEAL_BROKEN'],
      ]);
      await follower.close();
    });
  });
});
