import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRevocations } from '@carillon/access';
import { type AuditEvent, noAudit } from '@carillon/audit';
import { createDeliveries } from '@carillon/deliveries';
import { createDirectory } from '@carillon/directory';
import { createErasures } from '@carillon/erasure';
import { createInbox } from '@carillon/inbox';
import { testItem } from '@carillon/inbox/testing';
import { createRedis, type Redis } from '@carillon/redis';
import { redisPlaces, startRedis, waitFor } from '@carillon/testkit';
import { createKeyRing, type KeyStore, openVault } from '@carillon/vault';
import { memoryKeyStore, testRing } from '@carillon/vault/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

const code = (name: string) => expect.objectContaining({ code: name });
const actor = { type: 'key', name: 'backend' } as const;
const provider = createKeyRing(testRing());
const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

/** Everything an erasure touches, on one Redis. Keys are held for a moment only, so that an erasure is done soon. */
async function open(redis: Redis, store: KeyStore, audited: AuditEvent[] = []) {
  const audit = {
    ...noAudit,
    keep: async (event: AuditEvent) => {
      audited.push(event);
    },
  };
  const vault = await openVault({ provider, store, cacheMs: 600 });
  const deliveries = createDeliveries({ redis, retention: 1e9 });
  const directory = createDirectory({ redis, vault });
  const inbox = createInbox({ redis, vault, limits: { maxItems: 100, retention: 1e9 } });
  const revocations = createRevocations(redis);
  const erasures = createErasures({ redis, vault, deliveries, directory, inbox, revocations, audit, everyMs: 200 });
  cleanup.push(erasures.close, inbox.close);
  const tell = async (userId: string, createdAt = Date.now()) => {
    const item = testItem(userId, { createdAt });
    await inbox.append([item]);
    const record = { id: item.id, userId, templateId: 't', templateVersion: 'v', channels: ['in_app' as const], createdAt };
    await deliveries.create([{ ...record, category: (await vault.person(userId, 'make')).seal('record', item.id, 'appointments') }]);
    return item.id;
  };
  return { vault, deliveries, directory, inbox, revocations, erasures, tell };
}

/** Everything in this Redis that names somebody. */
async function tracesOf(redis: Redis, userId: string): Promise<string[]> {
  const found: string[] = [];
  for await (const keys of redis.scan('*', 1000)) found.push(...keys.filter((key) => key.includes(userId)));
  return found.filter((key) => !key.includes('revoked'));
}

describe.each(Object.entries(redisPlaces))('on %s', (_name, start) => {
  let place: Awaited<ReturnType<typeof start>>;
  let redis: Redis;
  beforeAll(async () => {
    place = await start();
    redis = await createRedis({ url: place.url }, { prefix: 'erasure:', temper: 'patient' });
  });
  afterAll(async () => {
    await redis?.close();
    await place?.stop();
  });

  test('an erased person leaves no record and nothing that opens; others keep everything', async () => {
    const audited: AuditEvent[] = [];
    const at = await open(redis, memoryKeyStore(), audited);
    const [ada, ben] = [`ada-${randomUUID()}`, `ben-${randomUUID()}`];
    for (const user of [ada, ben]) {
      await at.directory.setProfile(user, { email: `${user}@example.com` });
      await at.directory.addDevice(user, { fcm: { token: `token-${user}` } });
      await at.tell(user);
    }
    const id = await at.tell(ada);
    const { erasureId } = await at.erasures.erase(ada, actor);
    expect(await at.erasures.get(erasureId)).toMatchObject({ status: 'erasing', destroyed: { key: true, notificationsInTheInbox: 2 } });
    await expect(at.directory.setProfile(ada, {})).rejects.toEqual(code('ERASURE_UNDER_WAY'));

    await waitFor(async () => (await at.erasures.get(erasureId)).status === 'erased', { what: 'the erasure', timeout: 20_000 });
    const report = await at.erasures.get(erasureId);
    expect(report.destroyed).toMatchObject({ deliveryRecords: 2 });
    expect(report.remains.map(({ where }) => where)).toEqual(expect.arrayContaining(['providers', 'audit trail', 'transit keys']));
    expect((await at.vault.store.get('erasure', [erasureId]))[0]).toBeNull();
    expect((await at.vault.store.get('erased', [erasureId]))[0]).not.toContain('user"');
    expect(await tracesOf(redis, ada)).toEqual([]);
    await expect(at.deliveries.get(id)).rejects.toEqual(code('NOTIFICATION_NOT_FOUND'));
    expect((await at.revocations.since([ada]))[0]).toBeGreaterThan(0);
    expect(audited).toEqual([{ actor, action: 'person.erased', ids: [erasureId], users: [ada] }]);

    expect((await at.inbox.page(ben, { limit: 10 })).data[0]?.title).toBe('Title');
    expect(await at.directory.profile(ben)).toEqual({ email: `${ben}@example.com` });
    // Whoever has that phone now can register it.
    await at.directory.addDevice(ben, { fcm: { token: `token-${ada}` } });
    expect(await at.directory.devices(ben)).toHaveLength(2);
  });

  test('a person who comes back begins anew', async () => {
    const at = await open(redis, memoryKeyStore());
    const ada = `ada-${randomUUID()}`;
    await at.tell(ada);
    const { erasureId } = await at.erasures.erase(ada, actor);
    await waitFor(async () => (await at.erasures.get(erasureId)).status === 'erased', { what: 'the erasure', timeout: 20_000 });
    const id = await at.tell(ada);
    expect((await at.inbox.page(ada, { limit: 10 })).data).toMatchObject([{ id, title: 'Title', error: null }]);
  });

  test('an export holds everything that is kept of a person, and who asked is audited', async () => {
    const audited: AuditEvent[] = [];
    const at = await open(redis, memoryKeyStore(), audited);
    const ada = `ada-${randomUUID()}`;
    await at.directory.setProfile(ada, { email: 'ada@example.com' });
    await at.directory.setPreferences(ada, { channels: { sms: false } });
    const ids = [await at.tell(ada, Date.now() - 1000), await at.tell(ada)];
    const exported = await at.erasures.exportPerson(ada, actor);
    expect(exported).toMatchObject({
      userId: ada,
      profile: { email: 'ada@example.com' },
      preferences: { channels: { sms: false } },
      inbox: [{ id: ids[1] }, { id: ids[0] }],
      deliveries: [{ id: ids[1], category: 'appointments' }, { id: ids[0] }],
    });
    expect(audited).toEqual([{ actor, action: 'person.exported', users: [ada] }]);
    expect(await at.erasures.exportPerson(`nobody-${randomUUID()}`, actor)).toMatchObject({ profile: null, inbox: [], deliveries: [] });
  });

  test('one that nobody knows is no erasure', async () => {
    const at = await open(redis, memoryKeyStore());
    await expect(at.erasures.get(randomUUID())).rejects.toEqual(code('ERASURE_NOT_FOUND'));
  });

  test('a process that dies half way is no hindrance: another one goes on', async () => {
    const store = memoryKeyStore();
    const first = await open(redis, store);
    const ada = `ada-${randomUUID()}`;
    await first.tell(ada);
    // As far as it comes if Redis goes away right after the log was written.
    const id = randomUUID();
    const entry = { id, name: first.vault.nameOf(ada), requestedAt: Date.now(), user: first.vault.seal('erasure', id, ada), destroyed: {} };
    await store.add('erasure', [[id, JSON.stringify(entry)]]);
    const second = await open(redis, store);
    await waitFor(async () => (await second.erasures.get(id)).status === 'erased', { what: 'the erasure', timeout: 20_000 });
    expect(await tracesOf(redis, ada)).toEqual([]);
  });
});

test('after the Redis of the queues was restored from before an erasure nothing opens, and the erasure is repeated there', async () => {
  const server = await startRedis();
  const redis = await createRedis({ url: server.url }, { prefix: 'restored:', temper: 'patient' });
  const backup = mkdtempSync(join(tmpdir(), 'backup-'));
  cleanup.push(server.stop, redis.close, async () => rmSync(backup, { recursive: true }));
  const store = memoryKeyStore();
  const before = await open(redis, store);
  await before.directory.setProfile('ada', { email: 'ada@example.com' });
  await before.tell('ada');
  const others = await before.tell('ben');
  cpSync(server.dir, backup, { recursive: true });

  const { erasureId } = await before.erasures.erase('ada', actor);
  await waitFor(async () => (await before.erasures.get(erasureId)).status === 'erased', { what: 'the erasure', timeout: 20_000 });
  await before.erasures.close();
  await server.kill();
  rmSync(server.dir, { recursive: true });
  cpSync(backup, server.dir, { recursive: true });
  await server.restart();

  const vault = await openVault({ provider, store });
  const inbox = createInbox({ redis, vault, limits: { maxItems: 100, retention: 1e9 } });
  cleanup.push(inbox.close);
  expect((await inbox.page('ada', { limit: 10 })).data).toMatchObject([{ title: '', body: '', error: 'PERSON_ERASED' }]);
  await expect(createDirectory({ redis, vault }).profile('ada')).rejects.toEqual(code('USER_NOT_FOUND'));
  expect((await inbox.page('ben', { limit: 10 })).data).toMatchObject([{ id: others, title: 'Title' }]);

  await open(redis, store);
  await waitFor(async () => (await tracesOf(redis, 'ada')).length === 0, { what: 'the repeated erasure', timeout: 20_000 });
  expect((await inbox.page('ben', { limit: 10 })).data).toMatchObject([{ id: others, title: 'Title' }]);
});

test('a repeated erasure spares who came back, and takes what is left of before', async () => {
  const server = await startRedis();
  const redis = await createRedis({ url: server.url }, { prefix: 'spared:', temper: 'patient' });
  const backup = mkdtempSync(join(tmpdir(), 'backup-'));
  cleanup.push(server.stop, redis.close, async () => rmSync(backup, { recursive: true }));
  const store = memoryKeyStore();
  const at = await open(redis, store);
  await at.directory.setProfile('ada', { email: 'old@example.com' });
  await at.tell('ada', Date.now() - 60_000);
  cpSync(server.dir, backup, { recursive: true });
  const { erasureId } = await at.erasures.erase('ada', actor);
  const { requestedAt } = await at.erasures.get(erasureId);
  await waitFor(async () => (await at.erasures.get(erasureId)).status === 'erased', { what: 'the erasure', timeout: 20_000 });
  await at.tell('ada');
  await at.erasures.close();
  await server.kill();
  rmSync(server.dir, { recursive: true });
  cpSync(backup, server.dir, { recursive: true });
  await server.restart();

  const again = await open(redis, store);
  // Reachable at once: what was before counts as not there.
  const id = await again.tell('ada');
  await again.directory.setPreferences('ada', { channels: { sms: false } });
  await expect(again.directory.profile('ada')).rejects.toEqual(code('USER_NOT_FOUND'));
  await waitFor(async () => (await redis.command<number>('HLEN', redis.keys.erasures)) === 1, { what: 'the repeated erasure' });
  expect((await again.inbox.page('ada', { limit: 10 })).data).toMatchObject([{ id, error: null }]);
  expect((await again.inbox.head('ada')).unreadCount).toBe(1);
  expect((await again.deliveries.get(id)).id).toBe(id);
  expect(await again.directory.preferences('ada')).toEqual({ channels: { sms: false } });
  expect((await again.revocations.since(['ada']))[0]).toBe(requestedAt);
});

test('after the key store was restored from before an erasure the key is destroyed again', async () => {
  const server = await startRedis();
  const redis = await createRedis({ url: server.url }, { prefix: 'keys-back:', temper: 'patient' });
  cleanup.push(server.stop, redis.close);
  const store = memoryKeyStore();
  const at = await open(redis, store);
  const sealed = (await at.vault.person('ada', 'make')).seal('job', 'j', 'text');
  const name = at.vault.nameOf('ada');
  const [key] = (await store.get('person', [name])) as [string];
  const { erasureId } = await at.erasures.erase('ada', actor);
  await waitFor(async () => (await at.erasures.get(erasureId)).status === 'erased', { what: 'the erasure', timeout: 20_000 });
  await at.erasures.close();
  for (const [shelf, of, after] of [
    ['person', name, key],
    ['erased', erasureId, null],
  ] as const)
    await store.replace(shelf, of, (await store.get(shelf, [of]))[0] as string, after);

  const again = await open(redis, store);
  await waitFor(async () => (await again.erasures.get(erasureId).catch(() => undefined))?.status === 'erased', { what: 'the log' });
  expect((await again.vault.person('ada', 'leave')).isThere).toBe(false);
  const back = await again.vault.person('ada', 'make');
  expect(() => back.open('job', 'j', sealed)).toThrow(code('PERSON_ERASED'));
});

test('an entry of the log that cannot be read is no hindrance to other erasures', async () => {
  const server = await startRedis();
  const redis = await createRedis({ url: server.url }, { prefix: 'hindered:', temper: 'patient' });
  cleanup.push(server.stop, redis.close);
  const store = memoryKeyStore();
  await store.add('erasure', [['a', JSON.stringify({ id: 'a', name: 'x', requestedAt: 1, user: 'nonsense', destroyed: {} })]]);
  const at = await open(redis, store);
  const { erasureId } = await at.erasures.erase('ada', actor);
  await waitFor(async () => (await at.erasures.get(erasureId)).status === 'erased', { what: 'the erasure', timeout: 20_000 });
});
