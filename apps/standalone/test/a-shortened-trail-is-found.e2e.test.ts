import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openAudit } from '@carillon/audit';
import { createRedis } from '@carillon/redis';
import { spawnProcess, startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { beforeEach, expect, test } from '@jest/globals';
import { endings, environmentOf } from './system.js';

const later = endings();
let server: TestRedis;
let place: { redisUrl: string };
let folder: string;
beforeEach(async () => {
  server = await startRedis();
  later(() => server.stop());
  place = { redisUrl: server.url };
  folder = mkdtempSync(join(tmpdir(), 'trail-'));
  later(() => rmSync(folder, { recursive: true }));
});

/** A process that is the only one, with some records in its file; it is at work as long as the test. */
async function loneWriter() {
  const redis = await createRedis({ url: server.url }, { prefix: 'notification:', temper: 'prompt' });
  const audit = await openAudit({ redis, sink: `file:${folder}`, retention: 3_600_000, writer: 'lone' });
  later(async () => {
    await audit.close();
    await redis.close();
  });
  const keep = () => audit.keep({ actor: { type: 'key', name: 'tests' }, action: 'person.viewed', users: ['ann'] });
  for (let i = 0; i < 5; i++) await keep();
  const known = async () => JSON.parse((await redis.command<string>('HGET', redis.keys.auditChains, audit.writer)) ?? '[0]')[0];
  await waitFor(async () => (await known()) === 6, { what: 'Redis to know of it' });
  return { keep, writer: audit.writer, file: join(folder, `${audit.writer}.jsonl`) };
}

/** The command as it is run by hand: its exit code, and what it says. */
function trail(...args: string[]) {
  const script = fileURLToPath(new URL('../dist/audit.js', import.meta.url));
  return new Promise<{ code: unknown; said: string }>((resolve) => {
    execFile(process.execPath, [script, ...args], { env: environmentOf(place) }, (error, out, said) =>
      resolve({ code: error?.code ?? 0, said: said + out }),
    );
  });
}

function withoutItsLast(file: string): void {
  const lines = readFileSync(file, 'utf8').split('\n');
  writeFileSync(
    file,
    lines
      .slice(0, -2)
      .map((line) => `${line}\n`)
      .join(''),
  );
}

test('a lone process’ file that was cut at its end, or taken away, is found by what Redis knows', async () => {
  const { writer, file } = await loneWriter();
  expect(await trail('verify', '--folder', folder)).toEqual({
    code: 0,
    said: expect.stringMatching(/heads of 1 chains .*Redis[\s\S]*6 records in 1 chains: all as they were written/),
  });
  withoutItsLast(file);
  const cut = await trail('verify', '--folder', folder);
  expect(cut).toEqual({ code: 1, said: expect.stringContaining(`${writer}: record 6: cut`) });
  rmSync(file);
  const removed = await trail('verify', '--folder', folder);
  expect(removed).toEqual({ code: 1, said: expect.stringContaining(`${writer}: record 1: removed`) });
});

test('where Redis is away or is not to be asked, that is said, and files that agree with each other pass', async () => {
  const { file } = await loneWriter();
  withoutItsLast(file);
  const whole = '5 records in 1 chains: all as they were written';
  const alone = await trail('verify', '--folder', folder, '--alone');
  expect(alone).toEqual({ code: 0, said: expect.stringContaining(whole) });
  expect(alone.said).toContain('Redis was not asked');
  await server.kill();
  const away = await trail('verify', '--folder', folder);
  expect(away).toEqual({ code: 0, said: expect.stringContaining(whole) });
  expect(away.said).toContain('Redis cannot be reached');
  await server.restart();
});

test('where there are no chains nothing is proved', async () => {
  for (const args of [['--folder', folder, '--alone'], ['--folder', folder, '--trimmed'], ['--folder', folder], []])
    expect(await trail('verify', ...args)).toEqual({ code: 1, said: expect.stringContaining('no chains there') });
  expect((await trail('verify', '--folder', join(folder, 'nowhere'), '--alone')).code).toBe(2);
});

test('an export stays good while the trail goes on, and goes only where a folder can be made', async () => {
  const { keep } = await loneWriter();
  const exported = join(folder, 'deep', 'er');
  expect((await trail('export', '--folder', exported)).code).toBe(0);
  await keep();
  const checked = await trail('verify', '--folder', exported, '--trimmed');
  expect(checked).toEqual({ code: 0, said: expect.stringContaining('6 records in 1 chains: all as they were written') });
  const never = await trail('export', '--folder', '/proc/nope');
  expect(never).toEqual({ code: 2, said: expect.stringContaining('the folder cannot be used') });
});

test('a service whose audit trail has nowhere to go says so and does not start', async () => {
  const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
  const service = spawnProcess(main, { env: { ...environmentOf(place), NOTIFICATION_AUDIT_SINK: 'file:/proc/nope' } });
  later(() => service.kill('SIGKILL'));
  await service.ready('NOTIFICATION_AUDIT_SINK', 10_000);
  expect((await service.exited).code).not.toBe(0);
});
