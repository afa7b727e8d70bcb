import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { createKeyRing } from './key-ring.js';
import type { KeyStore, Shelf } from './key-store.js';
import { openVault, type Vault, type VaultParts } from './vault.js';

/** An encryption key as the setting has it, new each time. */
export const testRing = (id = 'k1'): string => `${id}:${randomBytes(32).toString('base64')}`;

/** A key store in the memory of this process: nothing is kept. */
export function memoryKeyStore(): KeyStore {
  const shelves: Record<Shelf, Map<string, string>> = { installation: new Map(), person: new Map(), erasure: new Map(), erased: new Map() };
  return {
    get: async (shelf, names) => names.map((name) => shelves[shelf].get(name) ?? null),
    add: async (shelf, entries) =>
      entries.map(([name, value]) => {
        const there = shelves[shelf].get(name) ?? value;
        shelves[shelf].set(name, there);
        return there;
      }),
    async replace(shelf, name, before, after) {
      if (shelves[shelf].get(name) !== before) return false;
      if (after === null) shelves[shelf].delete(name);
      else shelves[shelf].set(name, after);
      return true;
    },
    async *all(shelf) {
      yield [...shelves[shelf]];
    },
  };
}

/** A vault whose keys live in memory, or in the store given. */
export function memoryVault(parts: Partial<VaultParts> = {}): Promise<Vault> {
  return openVault({ provider: createKeyRing(testRing()), store: memoryKeyStore(), ...parts });
}

/** One case of the suite: `for (const { name, run } of keyStoreConformance(make)) test(name, run)`. */
export interface ConformanceCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** What makes a key store: memory, Redis and files pass the same. */
export function keyStoreConformance(make: () => Promise<KeyStore>): ConformanceCase[] {
  const check = (name: string, run: (store: KeyStore) => Promise<void>): ConformanceCase => ({ name, run: async () => run(await make()) });
  const newName = () => randomBytes(16).toString('base64url');
  return [
    check('answers in order, null for what is not there', async (store) => {
      const [a, b] = [newName(), newName()];
      await store.add('person', [
        [a, 'A'],
        [b, 'B'],
      ]);
      assert.deepEqual(await store.get('person', [b, newName(), a]), ['B', null, 'A']);
      assert.deepEqual(await store.get('erasure', [a]), [null]);
    }),
    check('tells names apart that differ in case only', async (store) => {
      const name = `aB-_${randomUUID()}`;
      await store.add('person', [[name, 'one']]);
      assert.deepEqual(await store.get('person', [name.toUpperCase(), name.toLowerCase(), name]), [null, null, 'one']);
    }),
    check('of many who add at once one wins, and all hear of the same', async (store) => {
      const name = newName();
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => store.add('person', [[name, `value ${i}`]])));
      assert.equal(new Set(answers.flat()).size, 1);
      assert.deepEqual(await store.get('person', [name]), answers[0]);
    }),
    check('of many who replace at once one succeeds', async (store) => {
      const name = newName();
      await store.add('person', [[name, 'before']]);
      const done = await Promise.all(Array.from({ length: 20 }, (_, i) => store.replace('person', name, 'before', `after ${i}`)));
      assert.equal(done.filter(Boolean).length, 1);
      assert.deepEqual(await store.get('person', [name]), [`after ${done.indexOf(true)}`]);
    }),
    check('removes, and what was removed can be added anew', async (store) => {
      const name = newName();
      await store.add('person', [[name, 'before']]);
      assert.equal(await store.replace('person', name, 'else', null), false);
      assert.equal(await store.replace('person', name, 'before', null), true);
      assert.deepEqual(await store.get('person', [name]), [null]);
      assert.deepEqual(await store.add('person', [[name, 'anew']]), ['anew']);
    }),
    check('goes through all there is on a shelf', async (store) => {
      const names = Array.from({ length: 300 }, newName);
      await store.add(
        'erasure',
        names.map((name) => [name, name]),
      );
      const found = new Map<string, string>();
      for await (const entries of store.all('erasure')) for (const [name, value] of entries) found.set(name, value);
      for (const name of names) assert.equal(found.get(name), name);
    }),
  ];
}
