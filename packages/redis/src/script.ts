import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A Lua script, known to Redis by its hash. */
export interface Script {
  readonly sha: string;
  readonly source: string;
}

/** Reads a script from one or more files, put together in order: `loadScript(new URL('../lua/append.lua', import.meta.url))`. */
export function loadScript(...files: URL[]): Script {
  const source = files.map((file) => readFileSync(file, 'utf8')).join('\n');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}
