import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';

const besides = (file: string) => `${file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;

/**
 * Makes `file` (0600) with `content()` unless it exists; true if this call made it. Of several processes one wins, and nobody ever
 * sees part of the content: a hard link of a finished file appears at once or fails.
 */
export function createOnce(file: string, content: () => string): boolean {
  if (existsSync(file)) return false;
  const finished = besides(file);
  writeFileSync(finished, content(), { mode: 0o600, flush: true });
  try {
    linkSync(finished, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(finished, { force: true });
  }
}

/** Writes `file` (0600) whole or not at all. */
export function replaceFile(file: string, content: string): void {
  const finished = besides(file);
  writeFileSync(finished, content, { mode: 0o600 });
  renameSync(finished, file);
}
