import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createOnce, replaceFile } from './files.js';
import { identify, isAlive, type ProcessIdentity } from './process-identity.js';

/*
 * A lock that outlives nobody, not even a process killed by SIGKILL.
 *
 * The folder holds numbered files, each naming a process; the lock belongs to the highest one. Whoever finds that process gone makes
 * the next number, which only one can (createOnce). The highest file is never removed, so numbers only grow, and a slow taker who
 * makes a number that is already surpassed sees a higher one when it looks again, and withdraws.
 */

/** The lock, held by this process. */
export interface Lock {
  /** Which holding of the lock this is; grows with every new one. */
  readonly generation: number;
  /** Lets go of it at once. */
  release(): void;
}

/** In place of a process: let go of. No process has this number. */
const RELEASED = 0;

/** Takes the lock in folder `dir` (made if missing), or undefined when a living process holds it. */
export function takeLock(dir: string): Lock | undefined {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const self = identify(process.pid);
  if (self === undefined) throw new Error('this process cannot identify itself');
  for (;;) {
    const highest = highestGeneration(dir);
    if (highest > 0 && isHeld(dir, highest)) return undefined;
    const generation = highest + 1;
    const file = join(dir, String(generation));
    if (!createOnce(file, () => JSON.stringify(self))) continue;
    if (highestGeneration(dir) > generation) {
      rmSync(file, { force: true });
      continue;
    }
    for (const older of generations(dir)) if (older < generation) rmSync(join(dir, String(older)), { force: true });
    return { generation, release: () => replaceFile(file, JSON.stringify({ pid: RELEASED })) };
  }
}

/** The generation of the living holder of the lock in folder `dir`, if there is one. */
export function heldGeneration(dir: string): number | undefined {
  const highest = highestGeneration(dir);
  return highest > 0 && isHeld(dir, highest) ? highest : undefined;
}

function generations(dir: string): number[] {
  return readdirSync(dir)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

const highestGeneration = (dir: string) => Math.max(0, ...generations(dir));

function isHeld(dir: string, generation: number): boolean {
  try {
    const holder = JSON.parse(readFileSync(join(dir, String(generation)), 'utf8')) as ProcessIdentity;
    return holder.pid !== RELEASED && isAlive(holder);
  } catch {
    // Gone between the listing and now: a higher one exists. Unreadable: nobody's.
    return false;
  }
}
