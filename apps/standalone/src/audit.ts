import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Chains, chainsInFolder, chainsInRedis, SEGMENT, verify } from '@carillon/audit';
import { toCarillonError } from '@carillon/contracts';
import { embeddedRedis, openDataDir } from '@carillon/embedded';
import { createRedis, type Redis } from '@carillon/redis';
import { createDeferred, environment, readConfig } from '@carillon/service';
import { defaultDataDir } from './base.js';

const USAGE = `usage: pnpm audit:trail verify [--folder <folder> [--trimmed]]
       pnpm audit:trail export [--folder <folder>]

verify checks the chains in Redis, or those in a folder: that of a file: sink, or with --trimmed an export of what Redis has left.
It ends with code 1 and one line that names the first record at fault.
export writes the chains in Redis to a folder, a file each, or to standard output.
`;

/** Where a command reads the chains, and what must be closed afterwards. */
const deferred = createDeferred();

async function openRedis(): Promise<Redis> {
  const config = readConfig(environment);
  const embedded = config.redisUrl === undefined ? await embeddedRedis(openDataDir(defaultDataDir())) : undefined;
  if (embedded) deferred.defer('embedded redis', embedded.close);
  const url = config.redisUrl ?? (embedded?.url as string);
  const redis = await createRedis({ url, cluster: config.redisCluster }, { prefix: config.redisPrefix, temper: 'prompt' });
  deferred.defer('redis', redis.close);
  return redis;
}

async function check(chains: Chains): Promise<number> {
  const { chains: count, records, faults } = await verify(chains);
  const [first] = faults;
  if (first === undefined) {
    process.stdout.write(`${records} records in ${count} chains: all as they were written\n`);
    return 0;
  }
  const more = faults.length > 1 ? `; ${faults.length - 1} more chains have a fault` : '';
  process.stdout.write(`${first.writer}: record ${first.seq}: ${first.what}${more}\n`);
  return 1;
}

/** Writes chain by chain, whatever their size. */
async function exportTo(chains: Chains, folder: string | undefined): Promise<number> {
  if (folder !== undefined) mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const writer of await chains.names()) {
    const file = folder === undefined ? undefined : join(folder, `${writer}${SEGMENT}`);
    // Never over what is there: it may be the only copy.
    if (file) writeFileSync(file, '', { mode: 0o600, flag: 'wx' });
    for await (const text of chains.records(writer)) {
      if (file) writeFileSync(file, `${text}\n`, { flag: 'a' });
      else if (!process.stdout.write(`${text}\n`)) await new Promise((resolve) => process.stdout.once('drain', resolve));
    }
  }
  return 0;
}

async function main(): Promise<number> {
  const options = { folder: { type: 'string' }, trimmed: { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true, strict: true });
  const [command] = positionals;
  if (command === 'verify') return check(values.folder ? chainsInFolder(values.folder, !values.trimmed) : chainsInRedis(await openRedis()));
  if (command === 'export') return exportTo(chainsInRedis(await openRedis()), values.folder);
  process.stderr.write(USAGE);
  return 2;
}

/** For whoever starts it: what is wrong, without a stack. */
function tell(error: unknown): number {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code?.startsWith('ERR_PARSE_ARGS')) process.stderr.write(USAGE);
  else process.stderr.write(syscall ? `the folder cannot be used: ${code}\n` : `${toCarillonError(error).message}\n`);
  return 2;
}

const code = await main().catch(tell);
await deferred.close();
process.exitCode = code;
