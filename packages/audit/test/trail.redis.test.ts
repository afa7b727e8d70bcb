import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { redisPlaces, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type AuditQuery, type AuditRecord, chainsInFolder, chainsInRedis, createAuditReader, verify } from '../src/index.js';
import { backend, folder, type Installation, installation, recordsOf } from './installation.js';

const ada = { type: 'user', name: 'ada' } as const;
const summary = ({ seq, action, ids, users }: AuditRecord) => [seq, action, ids?.length ?? 0, users ?? []];

describe.each(Object.entries(redisPlaces))('on %s', (_name, start) => {
  let place: Awaited<ReturnType<typeof start>>;
  let here: Installation;
  const all: Installation[] = [];
  const fresh = async () => {
    here = await installation(place.url);
    all.push(here);
    return here;
  };

  beforeAll(async () => {
    place = await start();
  });
  afterAll(async () => {
    for (const one of all) await one.close();
    await place?.stop();
  });

  test('events of one sort become one record, others another, and the chain verifies', async () => {
    const { redis, trail } = await fresh();
    const audit = await trail();
    for (let i = 0; i < 500; i++) audit.note({ actor: backend, action: 'notification.queued', ids: [`n${i}`] });
    audit.note({ actor: { type: 'key', name: 'other' }, action: 'notification.queued', ids: ['x'] });
    audit.note({ actor: backend, action: 'notification.queued', outcome: 'QUEUE_OUTCOME_UNKNOWN', ids: ['y'] });
    await audit.keep({ actor: backend, action: 'person.erased', users: ['ada'], ids: ['e1'] });
    const records = await recordsOf(redis, audit);
    expect(records.map(summary)).toEqual([
      [1, 'trail.opened', 0, []],
      [2, 'notification.queued', 500, []],
      [3, 'notification.queued', 1, []],
      [4, 'notification.queued', 1, []],
      [5, 'person.erased', 1, ['ada']],
    ]);
    expect(await verify(chainsInRedis(redis))).toEqual({ chains: 1, records: 5, faults: [], elsewhere: [] });
  });

  test('what is only noted is written within a moment, and 2,500 ids in three records', async () => {
    const { redis, trail } = await fresh();
    const audit = await trail();
    const ids = Array.from({ length: 2500 }, (_, i) => `n${i}`);
    audit.note({ actor: backend, action: 'notification.queued', ids });
    const records = await waitFor(async () => (await recordsOf(redis, audit)).length === 4 && recordsOf(redis, audit), {
      what: 'four records',
    });
    expect(records.slice(1).map((record) => record.ids?.length)).toEqual([1000, 1000, 500]);
    expect(records.flatMap((record) => record.ids ?? [])).toEqual(ids);
  });

  test('several users who do the same share a record that says who did it to what', async () => {
    const { redis, trail } = await fresh();
    const audit = await trail();
    const bo = { type: 'user', name: 'bo' } as const;
    audit.note({ actor: ada, action: 'notification.viewed', ids: ['a1', 'a2'] });
    audit.note({ actor: bo, action: 'notification.viewed', ids: ['b1'], users: ['bo'] });
    audit.note({ actor: ada, action: 'inbox.viewed' });
    audit.note({ actor: bo, action: 'person.viewed', users: ['ada'] });
    await audit.keep({ actor: bo, action: 'inbox.changed', ids: ['b2'] });
    const [, ...records] = await recordsOf(redis, audit);
    expect(records.map(({ action, actor, ids, users }) => ({ action, name: actor.name, ids, users }))).toEqual([
      { action: 'notification.viewed', name: '*', ids: ['a1', 'a2', 'b1'], users: ['ada', 'ada', 'bo'] },
      { action: 'inbox.viewed', name: 'ada', ids: undefined, users: ['ada'] },
      { action: 'person.viewed', name: 'bo', ids: undefined, users: ['ada'] },
      { action: 'inbox.changed', name: 'bo', ids: ['b2'], users: ['bo'] },
    ]);
  });

  test('who comes while a write is under way leaves with the others', async () => {
    const { redis, trail } = await fresh();
    const audit = await trail();
    await Promise.all(Array.from({ length: 200 }, (_, i) => audit.keep({ actor: backend, action: 'person.viewed', users: [`u${i}`] })));
    const records = (await recordsOf(redis, audit)).filter(({ action }) => action === 'person.viewed');
    expect(records.length).toBeLessThan(10);
    expect(records.flatMap(({ users }) => users ?? []).sort()).toEqual(Array.from({ length: 200 }, (_, i) => `u${i}`).sort());
  });

  test('two processes have a chain each; the second names the head of the first, and an anchor names both', async () => {
    const { redis, trail, turn } = await fresh();
    const first = await trail();
    await first.keep({ actor: backend, action: 'template.registered', ids: ['t'] });
    await waitFor(async () => (await redis.command<number>('HLEN', redis.keys.auditChains)) === 1, { what: 'the first to be registered' });
    const second = await trail({ writer: 'email' });
    await second.keep({ actor: backend, action: 'template.viewed', ids: ['t'] });
    await turn(first);
    const ofFirst = await recordsOf(redis, first);
    const ofSecond = await recordsOf(redis, second);
    expect(ofSecond[0]?.heads?.map(({ writer }) => writer)).toEqual([first.writer]);
    const head = ofSecond.at(-1);
    expect(ofFirst.at(-1)).toMatchObject({
      action: 'trail.anchored',
      heads: [{ writer: second.writer, seq: head?.seq, hash: head?.hash, at: head?.at }],
    });
    // With nothing new to name there is no other anchor.
    await turn(first);
    expect((await recordsOf(redis, first)).length).toBe(ofFirst.length);
    expect((await verify(chainsInRedis(redis))).faults).toEqual([]);
  });

  test('a chain whose process has ended is retired, then removed in its time, and nothing is missed', async () => {
    const { redis, trail, turn } = await fresh();
    const limits = { round: 3600_000, afterlife: 50, waiting: { count: 1000, size: 1e6 }, window: { count: 1000, size: 1e6 } };
    const files = folder();
    const first = await trail({ sink: `file:${files}`, limits });
    await first.keep({ actor: backend, action: 'template.registered', ids: ['t'] });
    await first.close();
    const second = await trail({ sink: `file:${files}`, limits });
    await turn(second);
    expect(await redis.command('ZRANGE', redis.keys.auditEnded, 0, -1)).toEqual([
      expect.stringMatching(new RegExp(`^\\d+ ${first.writer}$`)),
    ]);
    await waitFor(
      async () => {
        await turn(second);
        return (await redis.command<number>('EXISTS', redis.keys.auditChain(first.writer))) === 0;
      },
      { what: 'the chain to be removed' },
    );
    expect(await redis.command('ZCARD', redis.keys.auditEnded)).toBe(0);
    expect(await verify(chainsInRedis(redis))).toMatchObject({ chains: 1, faults: [] });
    expect(await verify(chainsInFolder(files))).toMatchObject({ chains: 2, faults: [] });
  });

  test('a sink on disk is only for its owner and has all of it; Redis has the latest, and both verify', async () => {
    const { redis, trail, turn } = await fresh();
    const files = join(folder(), 'deep', 'er');
    const limits = { round: 3600_000, window: { count: 50, size: 1e9 }, waiting: { count: 1000, size: 1e6 }, afterlife: 1e6 };
    const audit = await trail({ sink: `file:${files}`, limits });
    for (let i = 0; i < 300; i++) {
      await audit.keep({ actor: backend, action: 'person.viewed', users: [`u${i}`] });
      if (i % 60 === 0) await turn(audit);
    }
    for (let i = 0; i < 3; i++) await turn(audit);
    const file = join(files, `${audit.writer}.jsonl`);
    expect(statSync(files).mode & 0o777).toBe(0o700);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(files).sort()).toEqual(['.folder', `${audit.writer}.jsonl`]);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(300);
    const records = await recordsOf(redis, audit);
    expect(records.length).toBeLessThan(150);
    expect(records.length).toBeGreaterThanOrEqual(50);
    expect((await verify(chainsInFolder(files))).faults).toEqual([]);
    expect((await verify(chainsInRedis(redis))).faults).toEqual([]);
    // What is trimmed is excused, what follows it is not.
    await redis.command('XTRIM', redis.keys.auditChain(audit.writer), 'MAXLEN', records.length - 5);
    const floor = records.findLast(({ action }) => action === 'trail.trimmed')?.heads?.[0]?.seq as number;
    expect((await verify(chainsInRedis(redis))).faults).toEqual([{ writer: audit.writer, seq: floor + 1, what: 'missing' }]);
  });

  test('without a sink Redis keeps records for their time, and what is left verifies', async () => {
    const { redis, trail } = await fresh();
    const audit = await trail({ retention: 300 });
    for (let i = 0; i < 50; i++) await audit.keep({ actor: backend, action: 'person.viewed', users: [`u${i}`] });
    await waitFor(
      async () => {
        await audit.round();
        return (await recordsOf(redis, audit))[0]?.seq !== 1;
      },
      { what: 'the chain to be trimmed' },
    );
    expect((await verify(chainsInRedis(redis))).faults).toEqual([]);
    await audit.keep({ actor: backend, action: 'person.viewed', users: ['later'] });
    expect((await verify(chainsInRedis(redis))).faults).toEqual([]);
  });

  test('records are read newest first over all chains, page by page, each once', async () => {
    const { redis, trail } = await fresh();
    const trails = [await trail(), await trail({ writer: 'email' }), await trail({ writer: 'gateway' })];
    for (let i = 0; i < 60; i++)
      await trails[i % 3]?.keep({ actor: { type: 'key', name: `k${i % 2}` }, action: 'person.viewed', users: [`u${i}`], ids: [`i${i}`] });
    await trails[1]?.close();
    const { read } = createAuditReader(redis);
    const pages = async (query: Omit<AuditQuery, 'limit'>, limit = 7) => {
      const found: AuditRecord[] = [];
      for (let cursor: string | undefined, page = 0; page === 0 || cursor !== undefined; page++) {
        const answer = await read({ ...query, limit, cursor });
        expect(answer.data.length).toBeLessThanOrEqual(limit);
        found.push(...answer.data);
        cursor = answer.nextCursor;
      }
      return found;
    };
    const everything = await pages({});
    expect(everything.length).toBe(60 + 3 + 1);
    expect(new Set(everything.map(({ hash }) => hash)).size).toBe(everything.length);
    expect(everything.map(({ at }) => at)).toEqual(everything.map(({ at }) => at).sort((a, b) => b - a));
    const viewed = everything.filter(({ action }) => action === 'person.viewed');
    expect(await pages({ action: 'person.viewed' })).toEqual(viewed);
    expect((await pages({ user: 'u17' })).map(({ ids }) => ids)).toEqual([['i17']]);
    expect((await pages({ id: 'i18' })).map(({ users }) => users)).toEqual([['u18']]);
    expect((await pages({ actor: 'k0' })).length).toBe(30);
    const [since, until] = [viewed[40]?.at as number, viewed[20]?.at as number];
    expect(await pages({ since, until })).toEqual(everything.filter(({ at }) => at >= since && at <= until));
    await expect(read({ limit: 1, cursor: 'bm90aGluZw' })).rejects.toMatchObject({ code: 'FIELD_INVALID', field: 'cursor' });
  });
});
