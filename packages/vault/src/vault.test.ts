import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { link, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { fileKeyStore } from './file-key-store.js';
import { createKeyRing, type KeyProvider } from './key-ring.js';
import type { PersonKey } from './person-key.js';
import { keyStoreConformance, memoryKeyStore, memoryVault, testRing } from './testing.js';
import { openVault, type Vault } from './vault.js';

const code = (expected: string) => expect.objectContaining({ code: expected });
const keyOf = async (vault: Vault, userId: string, missing: 'make' | 'leave' = 'make') =>
  (await vault.people([userId], missing)).get(userId) as PersonKey;

const folders: string[] = [];
const newFolder = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'keys-'));
  folders.push(folder);
  return folder;
};
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

describe('in memory', () => {
  for (const { name, run } of keyStoreConformance(async () => memoryKeyStore())) test(name, run);
});
describe('in files', () => {
  for (const { name, run } of keyStoreConformance(async () => fileKeyStore(await newFolder()))) test(name, run);

  test('are readable by their owner only, and a key that is destroyed leaves none behind', async () => {
    const folder = await newFolder();
    const store = fileKeyStore(folder);
    await store.add('person', [['name', 'value']]);
    const files = () => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const [file] = files();
    expect((await stat(join(file?.parentPath as string, file?.name as string))).mode & 0o777).toBe(0o600);
    await store.replace('person', 'name', 'value', null);
    expect(files()).toEqual([]);
  });

  test.each([null, 'destroyed'])('what a process left behind that died while it added a key goes when that becomes %s', async (after) => {
    const folder = await newFolder();
    const store = fileKeyStore(folder);
    await store.add('person', [
      ['name', 'wrapped'],
      ['other', 'kept'],
    ]);
    const path = (name: string) => {
      const hex = Buffer.from(name).toString('hex');
      return join(folder, 'person', hex.slice(-2), hex);
    };
    // A link that was made while the file beside it was not yet removed; one that was not made at all.
    await link(path('name'), `${path('name')}~${randomUUID()}`);
    await writeFile(`${path('name')}~${randomUUID()}`, 'wrapped');
    expect(await store.replace('person', 'name', 'wrapped', after)).toBe(true);
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const texts = await Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name), 'utf8')));
    expect(texts.sort()).toEqual(after === null ? ['kept'] : ['destroyed', 'kept']);
  });

  test('who adds an entry while somebody takes their file for a leftover begins anew', async () => {
    const folder = await newFolder();
    const aside = () => (readdirSync(folder, { recursive: true }) as string[]).filter((name) => name.includes('~'));
    let taken = 0;
    let isAdded = false;
    const taking = (async () => {
      while (!isAdded) {
        for (const name of taken < 3 ? aside() : []) {
          rmSync(join(folder, name), { force: true });
          taken++;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    expect(await fileKeyStore(folder).add('person', [['name', 'value']])).toEqual(['value']);
    isAdded = true;
    await taking;
    expect(taken).toBeGreaterThan(0);
    expect(await fileKeyStore(folder).get('person', ['name'])).toEqual(['value']);
    expect(aside()).toEqual([]);
  });
});

test.each(['', 'a', 'a:', 'a:c2hvcnQ=', `a b:${Buffer.alloc(32, 1).toString('base64')}`, `${testRing('a')},${testRing('a')}`])(
  'refuses the key ring %j',
  (ring) => {
    expect(() => createKeyRing(ring)).toThrow(code('CONFIGURATION_INVALID'));
  },
);

test('what is sealed for one person opens for nobody and nothing else', async () => {
  const vault = await memoryVault();
  const [ada, ben] = [await keyOf(vault, 'ada'), await keyOf(vault, 'ben')];
  const sealed = ada.seal('inbox', 'n-1', 'text');
  expect(ada.open('inbox', 'n-1', sealed)).toBe('text');
  expect(() => ben.open('inbox', 'n-1', sealed)).toThrow(code('SEAL_BROKEN'));
  expect(() => ada.open('inbox', 'n-2', sealed)).toThrow(code('SEAL_BROKEN'));
  expect(() => ada.open('job', 'n-1', sealed)).toThrow(code('SEAL_BROKEN'));
});

test('several processes that need a new person’s key at once make one', async () => {
  const parts = { provider: createKeyRing(testRing()), store: memoryKeyStore() };
  const vaults = await Promise.all(Array.from({ length: 5 }, () => openVault(parts)));
  const keys = await Promise.all(vaults.map((vault) => keyOf(vault, 'ada')));
  const sealed = (keys[0] as PersonKey).seal('job', '', 'text');
  for (const key of keys) expect(key.open('job', '', sealed)).toBe('text');
});

test('a person who is only looked for gets no key', async () => {
  const store = memoryKeyStore();
  const vault = await memoryVault({ store });
  expect((await keyOf(vault, 'ada', 'leave')).isThere).toBe(false);
  for await (const entries of store.all('person')) expect(entries).toEqual([]);
});

test('with other encryption keys than before nothing opens', async () => {
  const store = memoryKeyStore();
  await memoryVault({ store });
  await expect(memoryVault({ store })).rejects.toEqual(code('SEAL_BROKEN'));
});

test('once a person is erased nothing of before opens, here at once and elsewhere within the time keys are held', async () => {
  const parts = { provider: createKeyRing(testRing()), store: memoryKeyStore(), cacheMs: 50 };
  const [here, elsewhere] = [await openVault(parts), await openVault(parts)];
  const sealed = (await keyOf(here, 'ada')).seal('inbox', 'n', 'text');
  const others = (await keyOf(here, 'ben')).seal('inbox', 'n', 'text');
  await keyOf(elsewhere, 'ada');

  const { until } = await here.destroy('ada');
  const erased = await keyOf(here, 'ada');
  expect(erased.isErasing).toBe(true);
  expect(() => erased.open('inbox', 'n', sealed)).toThrow(code('PERSON_ERASED'));
  expect(() => erased.seal('inbox', 'n', 'text')).toThrow(code('ERASURE_UNDER_WAY'));
  expect(until - Date.now()).toBeLessThanOrEqual(60);

  await new Promise((resolve) => setTimeout(resolve, 100));
  expect((await keyOf(elsewhere, 'ada', 'leave')).isThere).toBe(false);
  expect((await keyOf(elsewhere, 'ben')).open('inbox', 'n', others)).toBe('text');
  expect((await elsewhere.holders([elsewhere.nameOf('ada')])).get(elsewhere.nameOf('ada'))?.isThere).toBe(false);
});

test('a person who comes back has another key, and what was before stays erased', async () => {
  const vault = await memoryVault();
  const first = (await keyOf(vault, 'ada')).seal('job', '', 'first');
  const { until } = await vault.destroy('ada');
  expect((await keyOf(vault, 'ada')).isErasing).toBe(true);
  await vault.release(vault.nameOf('ada'), until - 1);
  expect((await keyOf(vault, 'ada')).isErasing).toBe(true);
  await vault.release(vault.nameOf('ada'), until);

  const again = await keyOf(vault, 'ada');
  expect(again.open('job', '', again.seal('job', '', 'second'))).toBe('second');
  expect(() => again.open('job', '', first)).toThrow(code('PERSON_ERASED'));
});

test('a key that is missing without an erasure is no erasure', async () => {
  const store = memoryKeyStore();
  const vault = await memoryVault({ store, cacheMs: 1 });
  const sealed = (await keyOf(vault, 'ada')).seal('job', '', 'text');
  const name = vault.nameOf('ada');
  await store.replace('person', name, (await store.get('person', [name]))[0] as string, null);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const key = await keyOf(vault, 'ada', 'leave');
  expect(() => key.open('job', '', sealed)).toThrow(code('SEAL_BROKEN'));
});

test('an entry that is moved to another person does not unwrap', async () => {
  const store = memoryKeyStore();
  const vault = await memoryVault({ store });
  await keyOf(vault, 'ada');
  const [entry] = (await store.get('person', [vault.nameOf('ada')])) as [string];
  await store.add('person', [[vault.nameOf('eve'), entry]]);
  const key = await keyOf(vault, 'eve');
  expect(() => key.seal('job', '', 'text')).toThrow(code('SEAL_BROKEN'));
});

test('rotation under load: no read fails, and the sweep says when the old key can go', async () => {
  const [old, young] = [testRing('old'), testRing('new')];
  const store = memoryKeyStore();
  const before = await openVault({ provider: createKeyRing(old), store, cacheMs: 1 });
  const users = Array.from({ length: 200 }, (_, i) => `user-${i}`);
  const sealed = new Map<string, string>();
  for (const user of users) sealed.set(user, (await keyOf(before, user)).seal('inbox', 'n', user));

  // First both know both keys, then the new one wraps: at no time is there a process that does not know a key in use.
  const [first, second] = await Promise.all([
    openVault({ provider: createKeyRing(`${old},${young}`), store, cacheMs: 1 }),
    openVault({ provider: createKeyRing(`${young},${old}`), store, cacheMs: 1 }),
  ]);
  let reads = 0;
  let isSwept = false;
  const reading = [first, second].map(async (vault) => {
    while (!isSwept || reads < 1000) {
      const user = users[reads++ % users.length] as string;
      expect((await keyOf(vault, user, 'leave')).open('inbox', 'n', sealed.get(user) as string)).toBe(user);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const swept = await second.sweep();
  isSwept = true;
  await Promise.all(reading);
  expect(swept).toEqual({ rewrapped: 201, wrapped: { new: 201 } });

  const after = await openVault({ provider: createKeyRing(young), store });
  for (const user of users) expect((await keyOf(after, user)).open('inbox', 'n', sealed.get(user) as string)).toBe(user);
  await expect(openVault({ provider: createKeyRing(old), store })).rejects.toEqual(code('KEY_STORE_UNAVAILABLE'));
});

test('a store that has lost the keys it had is given no others', async () => {
  const store = memoryKeyStore();
  const vault = await memoryVault({ store });
  const [secret] = (await store.get('installation', ['secret'])) as [string];
  await store.replace('installation', 'secret', secret, null);
  await expect(vault.person('ada', 'make')).rejects.toEqual(code('KEY_STORE_UNAVAILABLE'));
});

test('a person’s key that is wrapped by a key not known here waits, and the others of a batch do not', async () => {
  const [old, young] = [testRing('old'), testRing('new')];
  const store = memoryKeyStore();
  const behind = await openVault({ provider: createKeyRing(old), store, cacheMs: 1 });
  await keyOf(behind, 'ben');
  await keyOf(await openVault({ provider: createKeyRing(`${young},${old}`), store }), 'ada');
  const keys = await behind.people(['ada', 'ben'], 'make');
  expect(() => keys.get('ada')?.seal('job', '', 'text')).toThrow(code('KEY_STORE_UNAVAILABLE'));
  expect(keys.get('ben')?.seal('job', '', 'text')).toBeDefined();
});

test('a key that a restored store brings back is destroyed again', async () => {
  const store = memoryKeyStore();
  const vault = await memoryVault({ store, cacheMs: 1 });
  const sealed = (await keyOf(vault, 'ada')).seal('job', '', 'text');
  const name = vault.nameOf('ada');
  const [before] = (await store.get('person', [name])) as [string];
  const { keys } = await vault.destroy('ada');
  const [after] = (await store.get('person', [name])) as [string];
  await store.replace('person', name, after, before);
  await vault.destroyAgain(name, keys, Date.now());
  const again = await keyOf(vault, 'ada');
  expect(() => again.open('job', '', sealed)).toThrow(code('PERSON_ERASED'));
  await vault.destroyAgain(name, keys, Date.now());
  expect((await keyOf(vault, 'ada')).seal('job', '', 'text')).toBeDefined();
});

test('a sweep brings nobody back who is erased meanwhile', async () => {
  const [old, young] = [testRing('old'), testRing('new')];
  const store = memoryKeyStore();
  await keyOf(await openVault({ provider: createKeyRing(old), store }), 'ada');
  const ring = createKeyRing(`${young},${old}`);
  const vault = await openVault({ provider: ring, store });
  // Erased between the moment the sweep read the key and the moment it writes it.
  const provider: KeyProvider = {
    ...ring,
    wrap: async (...args) => {
      await vault.destroy('ada');
      return ring.wrap(...args);
    },
  };
  await (await openVault({ provider, store })).sweep();
  expect((await keyOf(vault, 'ada')).isThere).toBe(false);
});

test('what the installation seals for itself survives a change of all encryption keys', async () => {
  const [old, young] = [testRing('old'), testRing('new')];
  const store = memoryKeyStore();
  const sealed = (await openVault({ provider: createKeyRing(old), store })).seal('unsubscribe', '', 'text');
  await (await openVault({ provider: createKeyRing(`${young},${old}`), store })).sweep();
  const vault = await openVault({ provider: createKeyRing(young), store });
  expect(vault.open('unsubscribe', '', sealed)).toBe('text');
  expect(() => vault.open('session', '', sealed)).toThrow(code('SEAL_BROKEN'));
});

test('keyed hashes differ by installation, purpose and the cut between parts', async () => {
  const store = memoryKeyStore();
  const provider = createKeyRing(testRing());
  const [one, same, other] = [await openVault({ provider, store }), await openVault({ provider, store }), await memoryVault()];
  const base = one.hash('p', 'ab', 'c').toString('hex');
  expect(same.hash('p', 'ab', 'c').toString('hex')).toBe(base);
  expect(one.hash('p', 'a', 'bc').toString('hex')).not.toBe(base);
  expect(one.hash('q', 'ab', 'c').toString('hex')).not.toBe(base);
  expect(other.hash('p', 'ab', 'c').toString('hex')).not.toBe(base);
});
