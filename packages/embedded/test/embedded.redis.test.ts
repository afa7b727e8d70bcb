import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { askRedis } from '@carillon/embedded';
import { type SpawnedProcess, spawnProcess, waitFor } from '@carillon/testkit';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

/** Milliseconds a second start may take, and an orphan to be gone. */
const PROMPTLY = 5_000;

let folder: string;
let data: string;
let script: string;
const processes: SpawnedProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'carillon-embedded-'));
  data = join(folder, 'data');
  script = join(folder, 'user.mjs');
  const built = pathToFileURL(join(import.meta.dirname, '../dist/index.js')).href;
  writeFileSync(
    script,
    `import { embeddedRedis, openDataDir } from '${built}';
    const data = openDataDir(process.argv[2]);
    const redis = await embeddedRedis(data);
    process.on('SIGTERM', async () => { await redis.close(); process.exit(0); });
    console.log('up ' + JSON.stringify({ url: redis.url, owner: redis.owner, keys: data.keys }));
    setInterval(() => { if (redis.owner) console.log('owner'); }, 50);`,
  );
});

afterEach(async () => {
  for (const one of processes) one.kill('SIGKILL');
  await Promise.all(processes.splice(0).map((one) => one.exited));
  const { pid } = announced();
  await waitFor(() => !isRunning(pid), { what: 'Redis to end after the test' });
  rmSync(folder, { recursive: true });
});

function startUser(): SpawnedProcess {
  const started = spawnProcess(script, { args: [data] });
  processes.push(started);
  return started;
}

interface Up {
  url: string;
  owner: boolean;
  keys: Record<string, string>;
}

async function up(user: SpawnedProcess, timeout = PROMPTLY): Promise<Up> {
  return JSON.parse((await user.ready(/^up (.*)$/m, timeout))[1] ?? '') as Up;
}

function announced(): { url: string; port: number; password: string; pid: number } {
  return JSON.parse(readFileSync(join(data, 'redis.json'), 'utf8'));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('processes that start at once share one Redis and the same keys', async () => {
  const users = await Promise.all([startUser(), startUser(), startUser(), startUser()].map((user) => up(user)));
  expect(users.filter((user) => user.owner)).toHaveLength(1);
  expect(new Set(users.map((user) => user.url)).size).toBe(1);
  expect(new Set(users.map((user) => JSON.stringify(user.keys))).size).toBe(1);
  expect(users[0]?.keys.apiKey).toMatch(/^sk_[\w-]{43}$/);
  expect(Buffer.from(users[0]?.keys.jwtSecret ?? '', 'base64url')).toHaveLength(32);
  expect(Buffer.from(users[0]?.keys.encryptionKeys?.split(':')[1] ?? '', 'base64')).toHaveLength(32);
});

test('Redis ends with an owner killed by SIGKILL, and the next start finds data and keys', async () => {
  const first = startUser();
  const before = await up(first);
  const { pid } = announced();
  await askRedis(announced(), 'SET', 'kept', 'yes');
  first.kill('SIGKILL');
  const after = await up(startUser());
  expect(after.owner).toBe(true);
  expect(after.keys).toEqual(before.keys);
  expect(isRunning(pid)).toBe(false);
  expect(await askRedis(announced(), 'GET', 'kept')).toBe('yes');
});

test('Redis is gone shortly after its owner was killed', async () => {
  const user = startUser();
  await up(user);
  const { pid } = announced();
  user.kill('SIGKILL');
  await waitFor(() => !isRunning(pid), { timeout: PROMPTLY, what: 'Redis to end with its owner' });
});

test('an owner that closes leaves data to the next', async () => {
  const first = startUser();
  await up(first);
  await askRedis(announced(), 'SET', 'kept', 'yes');
  const { pid } = announced();
  first.kill('SIGTERM');
  expect(await first.exited).toEqual({ code: 0, signal: null });
  expect(isRunning(pid)).toBe(false);
  await up(startUser());
  expect(await askRedis(announced(), 'GET', 'kept')).toBe('yes');
});

test('who joined takes over from an owner that is killed, on the same URL', async () => {
  const first = startUser();
  const { url } = await up(first);
  const second = startUser();
  expect(await up(second)).toMatchObject({ url, owner: false });
  await askRedis(announced(), 'SET', 'kept', 'yes');
  first.kill('SIGKILL');
  await second.ready(/^owner$/m, PROMPTLY);
  expect(announced().url).toBe(url);
  expect(await askRedis(announced(), 'GET', 'kept')).toBe('yes');
});

test('Redis killed under a living owner comes back on its port with its data', async () => {
  await up(startUser());
  const before = announced();
  await askRedis(before, 'SET', 'kept', 'yes');
  process.kill(before.pid, 'SIGKILL');
  expect(await waitFor(() => askRedis(before, 'GET', 'kept'), { timeout: PROMPTLY, what: 'Redis to come back' })).toBe('yes');
  const after = await waitFor(() => announced().pid !== before.pid && announced(), { what: 'redis.json to name the new process' });
  expect(after.url).toBe(before.url);
  expect(isRunning(after.pid)).toBe(true);
});

test('a port taken meanwhile is replaced by another', async () => {
  const first = startUser();
  await up(first);
  first.kill('SIGTERM');
  await first.exited;
  const { port } = announced();
  const squatter = join(folder, 'squatter.mjs');
  writeFileSync(
    squatter,
    `import { createServer } from 'node:net'; createServer().listen(${port}, '127.0.0.1', () => console.log('here'));`,
  );
  const squatting = spawnProcess(squatter);
  processes.push(squatting);
  await squatting.ready('here');
  await up(startUser());
  expect(announced().port).not.toBe(port);
  expect(await askRedis(announced(), 'PING')).toBe('PONG');
});

test('secrets are readable by nobody else', async () => {
  await up(startUser());
  const { pid, password } = announced();
  const mode = (path: string) => statSync(join(data, path)).mode & 0o777;
  expect(['.', 'redis'].map(mode)).toEqual([0o700, 0o700]);
  expect(['keys.json', 'redis.json', 'redis/redis.conf'].map(mode)).toEqual([0o600, 0o600, 0o600]);
  if (existsSync('/proc')) expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(password);
  await expect(askRedis({ port: announced().port, password: 'wrong' }, 'PING')).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
});
