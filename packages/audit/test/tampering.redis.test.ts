import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRedis, type Redis } from '@carillon/redis';
import { startRedis } from '@carillon/testkit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chainsInFolder, chainsInRedis, verify } from '../src/index.js';
import { type AuditRecord, seal } from '../src/record.js';
import { backend, folder, type Installation, installation, textsOf } from './installation.js';

/** Random tamperings of each sort and store. */
const TRIALS = 40;

type Trail = Map<string, string[]>;
const shortened = (seq: number, what: string) => ({ seq, what });
const pick = (from: number, to: number) => randomInt(from, to + 1);
const rewritten = (text: string, prev?: string): string => {
  const { hash: _hash, ...record } = JSON.parse(text) as AuditRecord;
  return seal({ ...record, ...(prev ? { prev } : { outcome: 'FORBIDDEN' }) }).text;
};

/** What somebody might do to the `n` records of a chain that an anchor covers; each answers the fault that must be named. */
const tamperings: Record<string, (chain: string[], n: number, trail: Trail) => { seq: number; what: string }> = {
  'a record is deleted': (chain, n) => {
    const k = pick(1, n);
    chain.splice(k - 1, 1);
    return shortened(k, k === chain.length + 1 ? 'cut' : 'missing');
  },
  'a byte is altered': (chain, n) => {
    const k = pick(1, n);
    const text = chain[k - 1] as string;
    const at = pick(0, text.length - 1);
    chain[k - 1] = `${text.slice(0, at)}${text[at] === '7' ? '8' : '7'}${text.slice(at + 1)}`;
    return shortened(k, 'altered');
  },
  'a record is rewritten and hashed anew': (chain, n) => {
    const k = pick(1, n);
    chain[k - 1] = rewritten(chain[k - 1] as string);
    return shortened(k, 'altered');
  },
  'two records change places': (chain, n) => {
    const i = pick(1, n - 1);
    const j = pick(i + 1, n);
    [chain[i - 1], chain[j - 1]] = [chain[j - 1] as string, chain[i - 1] as string];
    return shortened(i, 'order');
  },
  'a record is there twice': (chain, n) => {
    const k = pick(1, n);
    const p = pick(1, n + 1);
    chain.splice(p - 1, 0, chain[k - 1] as string);
    return shortened(Math.min(p, k), 'order');
  },
  'a record of another chain is put in': (chain, n, trail) => {
    const other = [...trail.values()].find((texts) => texts !== chain) as string[];
    const p = pick(1, n);
    chain.splice(p - 1, 0, other[pick(0, other.length - 1)] as string);
    return shortened(p, 'altered');
  },
  'the tail is cut off': (chain, n) => {
    const length = pick(1, n - 1);
    chain.length = length;
    return shortened(length + 1, 'cut');
  },
  'the chain is removed': (chain) => {
    chain.length = 0;
    return shortened(1, 'removed');
  },
};

let server: Awaited<ReturnType<typeof startRedis>>;
let place: Installation;
let redis: Redis;
const files = folder();
/** Chains, and how many records of each an anchor covers. */
const inFiles: Trail = new Map();
const inRedis: Trail = new Map();
const anchored = new Map<string, number>();

beforeAll(async () => {
  server = await startRedis();
  place = await installation(server.url);
  redis = place.redis;
  const trails = [];
  for (const writer of ['api', 'email', 'gateway']) trails.push(await place.trail({ sink: `file:${files}`, writer }));
  for (let i = 0; i < 30; i++) {
    for (const trail of trails)
      await trail.keep({ actor: backend, action: 'notification.queued', ids: [`n${i}`, `m${i}`], about: { route: `r${i}` } });
    // Each anchors the others, so that each of them is anchored.
    if (i % 10 === 9) for (const trail of trails) await place.turn(trail);
  }
  for (const trail of trails) {
    const texts = await textsOf(redis, trail.writer);
    inRedis.set(trail.writer, texts);
    inFiles.set(
      trail.writer,
      readFileSync(join(files, `${trail.writer}.jsonl`), 'utf8')
        .split('\n')
        .slice(0, -1),
    );
  }
  for (const text of [...inFiles.values()].flat()) {
    for (const { writer, seq } of (JSON.parse(text) as AuditRecord).heads ?? [])
      anchored.set(writer, Math.max(seq, anchored.get(writer) ?? 0));
  }
});
afterAll(async () => {
  await place?.close();
  await server?.stop();
});

const copyOf = (trail: Trail): Trail => new Map([...trail].map(([writer, texts]) => [writer, [...texts]]));

async function verifyFiles(trail: Trail) {
  const dir = folder();
  for (const [writer, texts] of trail) {
    if (texts.length > 0) writeFileSync(join(dir, `${writer}.jsonl`), `${texts.join('\n')}\n`);
  }
  try {
    return await verify(chainsInFolder(dir));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function verifyRedis(trail: Trail) {
  const other = await createRedis({ url: server.url }, { prefix: 'tampered:', temper: 'prompt' });
  try {
    await other.command('DEL', ...[...trail.keys()].map(other.keys.auditChain));
    await other.command('COPY', redis.keys.auditChains, other.keys.auditChains, 'REPLACE');
    for (const [writer, texts] of trail) {
      await Promise.all(texts.map((text, i) => other.command('XADD', other.keys.auditChain(writer), `${i + 1}-0`, 'r', text)));
    }
    return await verify(chainsInRedis(other));
  } finally {
    await other.close();
  }
}

test('the trail as it was written has no fault', async () => {
  expect(readdirSync(files).filter((name) => name.endsWith('.jsonl'))).toHaveLength(3);
  expect([...anchored.values()].every((seq) => seq > 25)).toBe(true);
  expect((await verifyFiles(inFiles)).faults).toEqual([]);
  expect((await verifyRedis(inRedis)).faults).toEqual([]);
  expect((await verify(chainsInFolder(files))).faults).toEqual([]);
  expect((await verify(chainsInRedis(redis))).faults).toEqual([]);
});

describe.each([
  ['in files', () => inFiles, verifyFiles],
  ['in Redis', () => inRedis, verifyRedis],
] as const)('%s', (_name, trailOf, verifyAll) => {
  test.each(Object.entries(tamperings))('%s: the first record at fault is named', async (_what, tamper) => {
    for (let trial = 0; trial < TRIALS; trial++) {
      const trail = copyOf(trailOf());
      const writer = [...trail.keys()][trial % trail.size] as string;
      const chain = trail.get(writer) as string[];
      // Redis knows the last head of each chain as well.
      const expected = tamper(chain, verifyAll === verifyRedis ? chain.length : (anchored.get(writer) as number), trail);
      const { faults } = await verifyAll(trail);
      expect(faults.map(({ writer: named, seq, what }) => [named, seq, what])).toEqual([[writer, expected.seq, expected.what]]);
    }
  });

  test('a chain that is written anew from some record on is named by the first anchor after it', async () => {
    for (let trial = 0; trial < TRIALS; trial++) {
      const trail = copyOf(trailOf());
      const writer = [...trail.keys()][trial % trail.size] as string;
      const chain = trail.get(writer) as string[];
      const k = pick(1, verifyAll === verifyRedis ? chain.length : (anchored.get(writer) as number));
      chain[k - 1] = rewritten(chain[k - 1] as string);
      for (let i = k; i < chain.length; i++) {
        chain[i] = rewritten(chain[i] as string, (JSON.parse(chain[i - 1] as string) as AuditRecord).hash);
      }
      const { faults } = await verifyAll(trail);
      const fault = faults.find((one) => one.writer === writer);
      expect(fault?.what).toBe('altered');
      expect(fault?.seq).toBeGreaterThanOrEqual(k);
    }
  });
});
