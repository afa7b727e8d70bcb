import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Chains, chainsInFolder, chainsInRedis, chainsNow, makeFolder, SEGMENT, verify } from '@carillon/audit';
import { CarillonError, toCarillonError } from '@carillon/contracts';
import { embeddedRedis, openDataDir } from '@carillon/embedded';
import { createRedis, type Redis } from '@carillon/redis';
import { createDeferred, environment, readConfig } from '@carillon/service';
import { defaultDataDir } from './base.js';

const USAGE = `usage: pnpm audit:trail verify [--folder <folder>]... [--alone | --trimmed]
       pnpm audit:trail export [--folder <folder>]

verify checks the chains in Redis, or those in folders: of file: sinks, or with --trimmed an export of what Redis has left.
Chains that are kept elsewhere, as their anchors say, are named and not checked.
How far the chains of a sink go is asked of Redis, if it can be reached: by themselves, files do not tell that the latest records are gone.
With --alone it is not asked: for a copy of an earlier day, or of another installation.
It ends with code 1 and one line that names the first record at fault, or says that there are no chains.
export writes the chains in Redis, as they are when it begins, to a folder, a file each, or to standard output.
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

/** The chains of a sink's folder, which must go as far as Redis knows them; what became of asking it is said. */
async function chainsOfSink(folder: readonly string[]): Promise<Chains> {
  const chains = chainsInFolder(folder);
  try {
    const isThere = readConfig(environment).redisUrl !== undefined || existsSync(defaultDataDir());
    if (!isThere) throw new CarillonError('REDIS_UNAVAILABLE');
    const heads = await chainsInRedis(await openRedis()).heads();
    process.stderr.write(`heads of ${heads.length} chains taken from Redis\n`);
    return { ...chains, heads: async () => heads };
  } catch (error) {
    if (toCarillonError(error).code !== 'REDIS_UNAVAILABLE') throw error;
    process.stderr.write('Redis cannot be reached: it is not known whether there were later records\n');
    return chains;
  }
}

async function chainsOf({ folder, trimmed, alone }: { folder?: string[]; trimmed?: boolean; alone?: boolean }): Promise<Chains> {
  if (folder === undefined) return chainsInRedis(await openRedis());
  if (!trimmed && !alone) return chainsOfSink(folder);
  process.stderr.write('Redis was not asked whether there were later records\n');
  return chainsInFolder(folder, !trimmed);
}

async function check(chains: Chains): Promise<number> {
  const { chains: count, records, faults, elsewhere } = await verify(chains);
  if (elsewhere.length > 0) process.stdout.write(`not here, as they are kept elsewhere: ${elsewhere.join(' ')}\n`);
  const [first] = faults;
  if (first === undefined && count === 0) {
    process.stdout.write('no chains there\n');
    return 1;
  }
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
  if (folder !== undefined) await makeFolder(folder);
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
  const options = { folder: { type: 'string', multiple: true }, trimmed: { type: 'boolean' }, alone: { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true, strict: true });
  const [command] = positionals;
  if (command === 'verify') return check(await chainsOf(values));
  if (command === 'export') return exportTo(await chainsNow(await openRedis()), values.folder?.[0]);
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
