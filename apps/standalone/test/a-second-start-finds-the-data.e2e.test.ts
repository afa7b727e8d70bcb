import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@carillon/testkit';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { end, endings, startFixture } from './system.js';

/** Milliseconds from the start of the second process to what the first one stored. */
const SECOND_START = 5000;
const FROM_PARENT = { NODE_NO_WARNINGS: '1' };

const later = endings();
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'carillon-e2e-'));
});
// After `endings`, which ends what uses the folder.
afterEach(async () => {
  await waitFor(() => !existsSync(join(dir, 'redis.json')) || !isRunning(redisPid()), { what: 'the embedded Redis to be gone' });
  rmSync(dir, { recursive: true, force: true });
});

const announcement = () => JSON.parse(readFileSync(join(dir, 'redis.json'), 'utf8')) as { pid: number; port: number; url: string };
const redisPid = () => announcement().pid;
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function start(...args: string[]) {
  const process = startFixture('embedded-service', FROM_PARENT, [dir, ...args]);
  later(() => end(process));
  return process;
}
const said = async (process: ReturnType<typeof start>, word: string, timeout?: number) =>
  JSON.parse((await process.ready(new RegExp(`^${word} (.*)$`, 'm'), timeout))[1] as string);

test('a first start makes all it needs, and a second one after SIGKILL finds it all within five seconds', async () => {
  const first = start('queue', 'deliver');
  const results = (await said(first, 'queued')) as { ok: boolean; id: string }[];
  expect(results.map(({ ok }) => ok)).toEqual(Array.from({ length: 10 }, () => true));
  for (const name of ['keys.json', 'redis.json']) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  const keys = readFileSync(join(dir, 'keys.json'), 'utf8');
  const pid = redisPid();
  expect(isRunning(pid)).toBe(true);

  await end(first);
  const since = Date.now();
  const second = start('list');
  const listed = await said(second, 'listed', 30_000);
  expect(Date.now() - since).toBeLessThan(SECOND_START);
  expect(listed.ids.toSorted()).toEqual(results.map(({ id }) => id).toSorted());
  expect(listed).toMatchObject({ titles: expect.arrayContaining(['Hello 0', 'Hello 9']), unreadCount: 10 });
  expect(readFileSync(join(dir, 'keys.json'), 'utf8')).toBe(keys);
  expect(redisPid()).not.toBe(pid);
  expect(isRunning(pid)).toBe(false);
  // Nothing of what was queued can be read in the files.
  const files = readdirSync(join(dir, 'redis', 'appendonlydir')).map((name) =>
    readFileSync(join(dir, 'redis', 'appendonlydir', name), 'latin1'),
  );
  expect(files.join('')).toContain('ann');
  expect(files.join('')).not.toContain('Hello 9');
});

test('a worker process joins the Redis of the first one, and goes on where that one died', async () => {
  const first = start('queue');
  const results = (await said(first, 'queued')) as { id: string }[];
  const { pid, port } = announcement();
  const worker = start('work');
  await said(worker, 'working');
  expect(announcement()).toMatchObject({ pid, port });
  const lookAgain = async () => {
    const process = start('list', 'close');
    const listed = await said(process, 'listed');
    await said(process, 'closed');
    return listed.ids as string[];
  };
  await waitFor(async () => (await lookAgain()).length === 10, { timeout: 30_000, what: 'the worker to deliver' });
  expect((await lookAgain()).toSorted()).toEqual(results.map(({ id }) => id).toSorted());

  // The owner of the Redis dies; the worker takes it over, same address, same data.
  await end(first);
  await waitFor(() => redisPid() !== pid && isRunning(redisPid()), { timeout: 30_000, what: 'the worker to take over' });
  expect(announcement().port).toBe(port);
  const again = start('queue', 'close');
  expect(await said(again, 'queued')).toHaveLength(10);
  await waitFor(async () => (await lookAgain()).length === 20, { timeout: 30_000, what: 'the worker to deliver from the new one' });
});
