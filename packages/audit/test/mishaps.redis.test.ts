import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRedis } from '@carillon/redis';
import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { chainsInFolder, chainsInRedis, chainsNow, createAuditReader, openAudit, verify } from '../src/index.js';
import { openSink } from '../src/sink.js';
import { backend, folder, HOUR, type Installation, installation, recordsOf } from './installation.js';

let server: TestRedis;
const open: Installation[] = [];

beforeAll(async () => {
  server = await startRedis();
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});
afterAll(() => server?.stop());

async function fresh(): Promise<Installation> {
  const here = await installation(server.url);
  open.push(here);
  return here;
}

const viewed = (i: number) => ({ actor: backend, action: 'inbox.viewed', ids: [`n${i}`] }) as const;
async function all(texts: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const text of texts) found.push(text);
  return found;
}
const exists = async ({ redis }: Installation, writer: string) =>
  (await redis.command<number>('EXISTS', redis.keys.auditChain(writer))) === 1;

test('a trail that cannot be opened leaves nothing behind: nothing is tried again', async () => {
  const here = await fresh();
  const { keys, command } = here.redis;
  await command('ACL', 'SETUSER', 'reader', 'on', 'nopass', '+@all', '%R~*', '&*');
  const redis = await createRedis(
    { url: server.url.replace('redis://', 'redis://reader:any@') },
    { prefix: keys.prefix, temper: 'prompt' },
  );
  const refused = async () => (await command<string>('INFO', 'errorstats')).match(/NOPERM:count=(\d+)/)?.[1];
  await expect(openAudit({ redis, sink: 'redis', retention: HOUR, writer: 'api' })).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
  const before = await refused();
  expect(Number(before)).toBeGreaterThan(0);
  // It would have been tried again after 50, 150 and 350 ms.
  await sleep(500);
  expect(await refused()).toBe(before);
  await redis.close();
});

test('a sink that nothing was written to leaves no file', async () => {
  const files = folder();
  const [empty, used] = [await openSink(`file:${files}`, 'empty'), await openSink(`file:${files}`, 'used')];
  await used?.write(['{}']);
  const chains = () => readdirSync(files).filter((name) => name.endsWith('.jsonl'));
  expect(chains().sort()).toEqual(['empty.jsonl', 'used.jsonl']);
  await empty?.close();
  await used?.close();
  expect(chains()).toEqual(['used.jsonl']);
});

test('a clock that jumped forward and back: each record has its own time, and the chain goes on', async () => {
  const here = await fresh();
  const audit = await here.trail({ retention: 10 * HOUR });
  const real = Date.now;
  try {
    Date.now = () => real() + 1000 * HOUR;
    await audit.keep(viewed(1));
  } finally {
    Date.now = real;
  }
  const before = Date.now();
  await audit.keep(viewed(2));
  await audit.keep(viewed(3));
  const records = await recordsOf(here.redis, audit);
  expect(records.map(({ ids }) => ids?.[0])).toEqual([undefined, 'n1', 'n2', 'n3']);
  expect(records[1]?.at).toBeGreaterThan(before + 999 * HOUR);
  for (const { at } of records.slice(2)) expect(Math.abs(at - before)).toBeLessThan(HOUR);
  const { data } = await createAuditReader(here.redis).read({ limit: 10 });
  expect(data.map(({ ids }) => ids?.[0])).toEqual(['n3', 'n2', 'n1', undefined]);
  await here.turn(audit);
  expect((await verify(chainsInRedis(here.redis))).faults).toEqual([]);
});

test('a chain is kept as long as its own writer asked, whoever has the turn', async () => {
  const here = await fresh();
  const limits = { afterlife: 20 };
  const long = await here.trail({ sink: 'redis', retention: 1000 * HOUR, writer: 'producer' });
  await long.keep(viewed(1));
  await long.close();
  const short = await here.trail({ sink: `file:${folder()}`, writer: 'brief', limits });
  await short.close();
  const worker = await here.trail({ sink: `file:${folder()}`, writer: 'standalone', limits });
  await waitFor(
    async () => {
      await here.turn(worker);
      return !(await exists(here, short.writer));
    },
    { what: 'the chain with a short life to be removed' },
  );
  await here.turn(worker);
  expect(await recordsOf(here.redis, long)).toHaveLength(3);
  expect((await recordsOf(here.redis, worker)).flatMap(({ action, heads }) => (action === 'trail.removed' ? heads : []))).toMatchObject([
    { writer: short.writer, seq: 2 },
  ]);
  expect((await verify(chainsInRedis(here.redis))).faults).toEqual([]);
  // What nobody removed is not excused by what was.
  await here.redis.command('DEL', here.redis.keys.auditChain(long.writer));
  expect((await verify(chainsInRedis(here.redis))).faults).toEqual([{ writer: long.writer, seq: 1, what: 'removed' }]);
});

test('that a chain was removed in its time is known even when the chain that says so was removed as well', async () => {
  const here = await fresh();
  const limits = { afterlife: 20 };
  const [first, witness] = [
    await here.trail({ sink: `file:${folder()}`, writer: 'first', limits }),
    await here.trail({ writer: 'witness' }),
  ];
  await first.keep(viewed(1));
  await here.turn(witness);
  await first.close();
  const second = await here.trail({ sink: `file:${folder()}`, writer: 'second', limits });
  const goes = (writer: string, turner: typeof first) =>
    waitFor(
      async () => {
        await here.turn(turner);
        return !(await exists(here, writer));
      },
      { what: `${writer} to be removed` },
    );
  await goes(first.writer, second);
  await second.close();
  await goes(second.writer, witness);
  const { faults } = await verify(chainsInRedis(here.redis));
  expect(faults).toEqual([]);
  expect((await recordsOf(here.redis, witness)).some(({ heads }) => heads?.some(({ writer }) => writer === first.writer))).toBe(true);
});

test('a process that was silent and is back loses nothing when the time of its silence is over', async () => {
  const here = await fresh();
  const silent = await here.trail({ retention: 20, writer: 'silent' });
  const other = await here.trail({ writer: 'other' });
  await silent.keep(viewed(1));
  const [head] = await waitFor(
    async () => {
      const value = await here.redis.command<string | null>('HGET', here.redis.keys.auditChains, silent.writer);
      return value !== null && JSON.parse(value)[0] === 2 && [JSON.parse(value) as unknown[]];
    },
    { what: 'its head' },
  );
  await here.redis.command('HSET', here.redis.keys.auditChains, silent.writer, JSON.stringify(head?.with(3, 1)));
  await here.turn(other);
  await silent.keep(viewed(2));
  await waitFor(async () => (await here.redis.command('HEXISTS', here.redis.keys.auditChains, silent.writer)) === 1, {
    what: 'it to be back',
  });
  await sleep(30);
  for (let i = 0; i < 3; i++) await here.turn(other);
  expect(await exists(here, silent.writer)).toBe(true);
});

test('nothing is trimmed at a record that cannot be read, and somebody is told', async () => {
  const here = await fresh();
  const told: string[] = [];
  const retention = 1000;
  const audit = await here.trail({ retention, events: { error: (message) => told.push(message) } });
  for (let i = 0; i < 6; i++) await audit.keep(viewed(i));
  const until = Date.now() + retention * 1.2;
  await waitFor(() => Date.now() > until, { what: 'these to be old' });
  for (let i = 6; i < 10; i++) await audit.keep(viewed(i));
  const key = here.redis.keys.auditChain(audit.writer);
  const entries = await here.redis.command<[string, string[]][]>('XRANGE', key, '-', '+');
  await here.redis.command('DEL', key);
  // All that are young enough but the last; one of them is where the chain would be cut.
  for (const [i, [id, [, text = '']]] of entries.entries())
    await here.redis.command('XADD', key, id, 'r', i > 6 && i < 10 ? text.replace('backend', 'nobody!') : text);
  await here.turn(audit);
  expect(await recordsOf(here.redis, audit)).toHaveLength(entries.length);
  expect(told).toHaveLength(1);
  expect((await verify(chainsInRedis(here.redis))).faults).toEqual([{ writer: audit.writer, seq: 8, what: 'altered' }]);
});

test('a copy of a running system verifies: it ends where the chains were when it was begun', async () => {
  const here = await fresh();
  const trails = [await here.trail({ writer: 'a' }), await here.trail({ writer: 'b' }), await here.trail({ writer: 'c' })];
  const ended = await here.trail({ writer: 'ended' });
  await ended.close();
  for (const trail of trails) await here.turn(trail);
  const chains = await chainsNow(here.redis);
  const [files, out] = [folder(), new Map<string, number>()];
  for (const writer of await chains.names()) {
    for await (const text of chains.records(writer)) {
      writeFileSync(join(files, `${writer}.jsonl`), `${text}\n`, { flag: 'a' });
      out.set(writer, (out.get(writer) ?? 0) + 1);
    }
    // The system goes on meanwhile, and each names the others.
    for (const trail of trails) {
      await trail.keep(viewed(1));
      await here.turn(trail);
    }
  }
  expect(await verify(chainsInFolder(files, false))).toMatchObject({ chains: 4, faults: [] });
  expect(out.get(ended.writer)).toBe(2);
});

test('a copy of a chain that was trimmed or removed meanwhile is refused', async () => {
  const here = await fresh();
  const [trimmed, removed] = [await here.trail({ retention: 100 }), await here.trail()];
  for (let i = 0; i < 5; i++) await trimmed.keep(viewed(i));
  const chains = await chainsNow(here.redis);
  await waitFor(
    async () => {
      await trimmed.round();
      return (await recordsOf(here.redis, trimmed))[0]?.seq !== 1;
    },
    { what: 'the chain to be trimmed' },
  );
  await here.redis.command('DEL', here.redis.keys.auditChain(removed.writer));
  for (const { writer } of [trimmed, removed])
    await expect(all(chains.records(writer))).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
});

test("a name that is no chain's becomes no path", async () => {
  const here = await fresh();
  const audit = await here.trail();
  await audit.keep(viewed(1));
  const outside = join(folder(), 'x');
  for (const name of [`../${outside}`, '.hidden', 'a/b', ''])
    await here.redis.command('HSET', here.redis.keys.auditChains, name, JSON.stringify([1, 1, 'x', 1, 0, 1]));
  await here.redis.command('ZADD', here.redis.keys.auditEnded, Date.now() + HOUR, '1 ../up');
  expect(await chainsInRedis(here.redis).names()).toEqual([audit.writer]);
  expect(await (await chainsNow(here.redis)).names()).toEqual([audit.writer]);
  const files = folder();
  writeFileSync(`${files}-beside.jsonl`, 'text\n');
  const beside = `../${files.slice(files.lastIndexOf('/') + 1)}-beside`;
  expect(await all(chainsInFolder(files).records(beside))).toEqual([]);
});

test('a folder is verified by itself: chains that are kept elsewhere are named, and are no fault', async () => {
  const here = await fresh();
  const [files, other] = [folder(), folder()];
  const inRedis = await here.trail({ writer: 'producer' });
  const onOther = await here.trail({ sink: `file:${other}`, writer: 'other' });
  const first = await here.trail({ sink: `file:${files}`, writer: 'first' });
  for (const trail of [inRedis, onOther, first]) await trail.keep(viewed(1));
  await first.close();
  const second = await here.trail({ sink: `file:${files}`, writer: 'second' });
  await here.turn(second);
  const elsewhere = (await verify(chainsInFolder(files))).elsewhere;
  expect(elsewhere.toSorted()).toEqual([onOther.writer, inRedis.writer]);
  expect((await verify(chainsInFolder(files))).faults).toEqual([]);
  expect(await verify(chainsInFolder([files, other]))).toMatchObject({ chains: 3, faults: [], elsewhere: [inRedis.writer] });
  // One of this folder must be here.
  rmSync(join(files, `${first.writer}.jsonl`));
  expect((await verify(chainsInFolder(files))).faults).toEqual([{ writer: first.writer, seq: 1, what: 'removed' }]);
  // The folder knows what it is, even if nothing is in it any more.
  rmSync(join(files, `${second.writer}.jsonl`));
  const heads = await chainsInRedis(here.redis).heads();
  const known = await verify({ ...chainsInFolder(files), heads: async () => heads });
  expect(known.faults).toEqual([{ writer: second.writer, seq: 1, what: 'removed' }]);
});
