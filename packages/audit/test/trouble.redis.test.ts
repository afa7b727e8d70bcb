import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { chainsInFolder, chainsInRedis, openAudit, verify } from '../src/index.js';
import { backend, folder, HOUR, installation, recordsOf } from './installation.js';

let server: TestRedis;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server?.stop());

const viewed = (i: number) => ({ actor: backend, action: 'person.viewed', users: [`u${i}`] }) as const;

test('Redis restarted under load: every event is there once, in order, in Redis and in the sink', async () => {
  const [one, other] = [await installation(server.url), await installation(server.url)];
  const files = folder();
  const [plain, filed] = [await one.trail(), await other.trail({ sink: `file:${files}` })];
  let count = 0;
  const load = setInterval(() => {
    for (let i = 0; i < 20; i++, count++) for (const audit of [plain, filed]) audit.note({ ...viewed(count), users: [`u${count}`] });
  }, 2);
  await waitFor(async () => (await recordsOf(one.redis, plain)).length > 1, { what: 'records' });
  await server.kill();
  const lowWater = count;
  await expect(plain.keep(viewed(-1))).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
  // On disk all the same.
  await filed.keep({ ...viewed(0), action: 'person.erased' });
  await waitFor(() => count > lowWater + 5000, { what: 'more events while Redis is away' });
  await server.restart();
  clearInterval(load);
  const users = Array.from({ length: count }, (_, i) => `u${i}`);
  for (const [audit, redis] of [
    [plain, one.redis],
    [filed, other.redis],
  ] as const) {
    const seen = await waitFor(
      async () => {
        const records = (await recordsOf(redis, audit)).filter(({ action }) => action === 'person.viewed');
        // Of what was refused it is not known whether it is there.
        const found = records.flatMap((record) => record.users ?? []).filter((user) => user !== 'u-1');
        return found.length >= count && found;
      },
      { what: 'all events to be in Redis' },
    );
    expect(seen).toEqual(users);
    expect((await verify(chainsInRedis(redis))).faults).toEqual([]);
  }
  expect((await verify(chainsInFolder(files))).faults).toEqual([]);
  await one.close();
  await other.close();
});

test('beyond its bounds the oldest is given up: told at once, and a record says so', async () => {
  const { redis, trail, close } = await installation(server.url);
  const told: { message: string; records?: number }[] = [];
  const audit = await trail({
    events: { error: (message, about) => told.push({ message, ...about }) },
    limits: { round: HOUR, waiting: { count: 10, size: 1e6 } },
  });
  await server.kill();
  for (let i = 0; i < 50; i++) audit.note({ ...viewed(i), about: { route: `r${i}` } });
  await waitFor(() => told.some(({ message }) => message.includes('loses')), { what: 'the loss to be told' });
  await server.restart();
  const lost = await waitFor(async () => (await recordsOf(redis, audit)).find(({ action }) => action === 'trail.lost'), {
    what: 'the record of the loss',
  });
  const records = await recordsOf(redis, audit);
  const kept = records.filter(({ action }) => action === 'person.viewed').length;
  expect(lost.about?.records).toBe(50 - kept);
  expect(kept).toBeGreaterThanOrEqual(10);
  expect((await verify(chainsInRedis(redis))).faults).toEqual([]);
  await close();
});

test('where Redis was away too long for the copy, the sink has all, Redis has the latest, and both verify', async () => {
  const { redis, trail, close } = await installation(server.url);
  const files = folder();
  const audit = await trail({ sink: `file:${files}`, limits: { round: HOUR, waiting: { count: 10, size: 1e6 } } });
  await server.kill();
  for (let i = 0; i < 50; i++) await audit.keep(viewed(i));
  await server.restart();
  await waitFor(async () => (await recordsOf(redis, audit)).some(({ action }) => action === 'trail.trimmed'), { what: 'the mark' });
  const copied = await recordsOf(redis, audit);
  expect(copied.length).toBeLessThan(40);
  expect(
    readFileSync(join(files, `${audit.writer}.jsonl`), 'utf8')
      .trim()
      .split('\n'),
  ).toHaveLength(copied.at(-1)?.seq as number);
  expect((await verify(chainsInFolder(files))).faults).toEqual([]);
  expect((await verify(chainsInRedis(redis))).faults).toEqual([]);
  await close();
});

test('what was told before close is written by close, and what comes after it is refused', async () => {
  const { redis, trail, close } = await installation(server.url);
  const told: string[] = [];
  const audit = await trail({ events: { error: (message) => told.push(message) } });
  audit.note(viewed(1));
  await audit.close();
  expect((await recordsOf(redis, audit)).map(({ action }) => action)).toEqual(['trail.opened', 'person.viewed', 'trail.closed']);
  await expect(audit.keep(viewed(2))).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
  audit.note(viewed(3));
  expect(told).toHaveLength(1);
  await close();
});

test('a sink that cannot be opened is a fault of the settings', async () => {
  const { redis, close } = await installation(server.url);
  const file = join(folder(), 'file');
  writeFileSync(file, '');
  // The last is a folder that can be looked at and never made.
  for (const sink of [`file:${file}`, 'syslog', 'file:/proc/nope/deeper'])
    await expect(openAudit({ redis, sink, retention: HOUR, writer: 'api' })).rejects.toMatchObject({ code: 'CONFIGURATION_INVALID' });
  await close();
});

test('half a line that a killed writer left is no record', async () => {
  const { trail, close } = await installation(server.url);
  const files = folder();
  const audit = await trail({ sink: `file:${files}` });
  for (let i = 0; i < 10; i++) await audit.keep(viewed(i));
  const file = join(files, `${audit.writer}.jsonl`);
  await close();
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.slice(0, -40));
  expect(await verify(chainsInFolder(files))).toEqual({ chains: 1, records: 11, faults: [], elsewhere: [] });
});
