import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CarillonError } from '@carillon/contracts';
import type { KeyStore, Shelf } from './key-store.js';

/** How long somebody may hold the lock of an entry, ms, before they count as dead: a change takes milliseconds. */
const LOCK_STALE_MS = 10_000;
const LOCK_POLL_MS = 5;
/** Files read or written at a time: more would only wait for Node's four threads. */
const AT_ONCE = 16;

/**
 * A key store of files, for a laptop or a single machine: one file per entry, so that a key that is destroyed leaves nothing behind, and so
 * that several processes of one checkout can share it. Readable by their owner only. An entry is on the disk when it is told.
 */
export function fileKeyStore(folder: string): KeyStore {
  // Hexadecimal, since there are file systems that do not tell upper from lower case.
  const pathOf = (shelf: Shelf, name: string) => {
    const hex = Buffer.from(name).toString('hex');
    return join(folder, shelf, hex.slice(-2), hex);
  };
  return {
    get: (shelf, names) => told(() => inTurns(names, (name) => readIfThere(pathOf(shelf, name)))),
    add: (shelf, entries) => told(() => inTurns(entries, ([name, value]) => add(pathOf(shelf, name), value))),
    replace: (shelf, name, before, after) => told(() => replace(pathOf(shelf, name), before, after)),
    async *all(shelf) {
      for (const part of await told(() => filesIn(join(folder, shelf)))) {
        const paths = (await told(() => filesIn(part))).filter((path) => /[\\/][0-9a-f]+$/.test(path));
        const values = await told(() => inTurns(paths, readIfThere));
        yield paths.flatMap((path, i) => (values[i] == null ? [] : [[nameIn(path), values[i] as string] as const]));
      }
    },
  };
}

const nameIn = (path: string) => Buffer.from(path.split(/[\\/]/).at(-1) as string, 'hex').toString();

/** Faults of the file system in our terms. */
async function told<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw cause instanceof CarillonError ? cause : new CarillonError('KEY_STORE_UNAVAILABLE', { cause });
  }
}

async function inTurns<T, R>(list: readonly T[], run: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < list.length; at += AT_ONCE) results.push(...(await Promise.all(list.slice(at, at + AT_ONCE).map(run))));
  return results;
}

const isCode = (error: unknown, code: string) => (error as NodeJS.ErrnoException).code === code;

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).map((name) => join(folder, name));
  } catch (error) {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Writes a file of its own, whole and on the disk. */
async function writeAside(path: string, value: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const aside = `${path}~${randomUUID()}`;
  const file = await open(aside, 'wx', 0o600);
  try {
    await file.writeFile(value);
    await file.sync();
  } finally {
    await file.close();
  }
  return aside;
}

async function add(path: string, value: string): Promise<string> {
  const there = await readIfThere(path);
  if (there !== null) return there;
  const aside = await writeAside(path, value);
  try {
    // Unlike a rename, a link is refused where a file is, so the first of many wins.
    await link(aside, path);
    await syncFolder(dirname(path));
    return value;
  } catch (error) {
    // Somebody else was first, or has changed what was there and taken ours for a leftover.
    if (!isCode(error, 'EEXIST') && !isCode(error, 'ENOENT')) throw error;
    return (await readIfThere(path)) ?? (await add(path, value));
  } finally {
    await rm(aside, { force: true });
  }
}

/**
 * Removes what was written aside for an entry by who died before it was in place, or before it was removed from there: it may be the very key that is to be
 * destroyed. Who is just adding the entry begins anew; changes have the lock.
 */
async function removeLeftovers(path: string): Promise<void> {
  const beside = (await filesIn(dirname(path))).filter((other) => basename(other).startsWith(`${basename(path)}~`));
  await Promise.all(beside.filter((other) => other !== lockOf(path)).map((other) => rm(other, { force: true })));
}

const lockOf = (path: string) => `${path}~lock`;

/** The file is in its folder after a power cut as well. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function replace(path: string, before: string, after: string | null): Promise<boolean> {
  if ((await readIfThere(path)) !== before) return false;
  const unlock = await lock(lockOf(path));
  try {
    if ((await readIfThere(path)) !== before) return false;
    // Before the change: who dies between the two has changed nothing, and does it again.
    await removeLeftovers(path);
    if (after === null) await unlink(path);
    else await rename(await writeAside(path, after), path);
    await syncFolder(dirname(path));
    return true;
  } finally {
    await unlock();
  }
}

/** Folders are made by one only. */
async function lock(path: string): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await mkdir(path, { mode: 0o700 });
      return () => rmdir(path);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
      const held = await stat(path).catch(() => undefined);
      if (held && Date.now() - held.mtimeMs > LOCK_STALE_MS) await rmdir(path).catch(() => undefined);
      else await pause(LOCK_POLL_MS);
    }
  }
}
