import { spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, type SpawnedProcess, spawnProcess, startRedis, TestClient, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import {
  copyContext,
  environmentOfImage,
  environmentOfService,
  makeSecrets,
  readCompose,
  readDockerfile,
  valuesOf,
} from './docker-files.js';
import { end, hello } from './system.js';

const [build = [], image = []] = readDockerfile();
const compose = readCompose();
const secrets = makeSecrets();
const values = {
  ...secrets,
  NOTIFICATION_PUBLIC_URL: 'https://notify.clinic.example',
  NOTIFICATION_PUBLIC_SOCKET_URL: 'wss://notify.clinic.example/socket',
  // Without a provider; nothing else than theirs starts workers in production.
  NOTIFICATION_DELIVERY: 'sandbox',
};
const apiKey = (secrets.NOTIFICATION_API_KEYS ?? '').replace(/^.*:/, '');
/** The user of the image, where we may become another. */
const user = process.getuid?.() === 0 ? Number((valuesOf(image, 'USER')[0] ?? '').split(':')[0]) : undefined;

/** Stands for the root of the image's file system: what is built from, what runs, and the volume. */
const folder = mkdtempSync(join(tmpdir(), 'carillon-image-'));
const out = join(folder, 'out');
const audit = join(folder, 'audit');
const node = join(folder, 'node');
let redis: TestRedis;
let keys: TestRedis;

beforeAll(async () => {
  // Another user must get there.
  chmodSync(folder, 0o755);
  const context = join(folder, 'build');
  copyContext(build, context);
  const [command = ''] = valuesOf(build, 'RUN');
  expect(command).toBe('node docker/build.mjs /out');
  expect(valuesOf(image, 'COPY')).toEqual(['/out /app']);
  await run(context, command.split(' ').slice(1, -1).concat(out));
  copyFileSync(process.execPath, node);
  mkdirSync(audit, { mode: 0o700 });
  if (user !== undefined) chownSync(audit, user, user);
  const started = [secrets.REDIS_PASSWORD, secrets.REDIS_KEYS_PASSWORD].map((password) => startRedis({ password: password as string }));
  [redis, keys] = (await Promise.all(started)) as [TestRedis, TestRedis];
});
afterAll(async () => {
  await Promise.all([redis?.stop(), keys?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

/** Runs what a RUN runs: in the folder alone, with this machine's npm. Rejects with what it said. */
function run(cwd: string, args: readonly string[]): Promise<void> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`node ${args.join(' ')} ended with ${code}:\n${said}`))));
  });
}

// One for each process that is watched, of which there are a dozen at a time.
process.setMaxListeners(50);
const running = new Set<SpawnedProcess>();
afterEach(async () => {
  await Promise.all([...running].map(end));
  running.clear();
});

/** Starts the image: its entry point with these arguments, as its user. It is ended after the test. */
const startImage = (args: string[], env: Record<string, string> = {}): SpawnedProcess => {
  const [, script = ''] = JSON.parse(valuesOf(image, 'ENTRYPOINT')[0] ?? '') as string[];
  const whole = { ...environmentOfImage(image), ...env, HOME: '/nonexistent' };
  const process = spawnProcess(join(out, script), { args, cwd: out, node, user, env: whole });
  running.add(process);
  return process;
};

/** The environment of a service of compose.yaml, on the Redis and in the folder of this test. */
async function environmentHere(service: string): Promise<Record<string, string>> {
  const { environment } = compose.services[service] ?? {};
  const env = environmentOfService({ environment }, values);
  const ports = { HTTP: await freePort(), WS: await freePort(), ADMIN: await freePort() };
  return {
    ...env,
    REDIS_URL: (env.REDIS_URL ?? '').replace('redis:6379', `127.0.0.1:${redis.port}`),
    NOTIFICATION_KEYS_REDIS_URL: (env.NOTIFICATION_KEYS_REDIS_URL ?? '').replace('redis-keys:6379', `127.0.0.1:${keys.port}`),
    NOTIFICATION_AUDIT_SINK: `file:${audit}`,
    ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [`NOTIFICATION_${name}_PORT`, String(port)])),
  };
}

/** Ends with 0 if the health check passes; `path` as compose.yaml gives it. */
async function health(env: Record<string, string>, path?: string): Promise<number | null> {
  const [, script = '', own = ''] = JSON.parse((valuesOf(image, 'HEALTHCHECK')[0] ?? '').replace(/^CMD /, '')) as string[];
  const check = spawnProcess(join(out, script), {
    args: [path ?? own],
    cwd: out,
    node,
    user,
    env: { ...environmentOfImage(image), ...env },
  });
  return (await check.exited).code;
}

/** Starts a role and waits until both health checks pass. */
async function startRole(role: string, env: Record<string, string>) {
  const process = startImage([role], env);
  let over = false;
  void process.exited.then(() => {
    over = true;
  });
  const isReady = async () => over || (await fetch(`http://127.0.0.1:${env.NOTIFICATION_ADMIN_PORT}/readyz`)).ok;
  await waitFor(isReady, { timeout: 60_000, what: `${role} to be ready` }).catch((error) => {
    throw new Error(`${error.message}; it said:\n${process.output()}`);
  });
  if (over) throw new Error(`${role} ended; it said:\n${process.output()}`);
  const { test: healthcheck } = compose.services.api?.healthcheck ?? {};
  expect([role, await health(env), await health(env, healthcheck.at(-1))]).toEqual([role, 0, 0]);
  return { role, process, env };
}

/** Ends it as `docker stop` does, and expects that it went well, and that it never was root. */
async function stop({ role, process, env }: Awaited<ReturnType<typeof startRole>>): Promise<void> {
  const status = `/proc/${process.pid}/status`;
  if (existsSync(status)) {
    const [, uids] = /^Uid:\s+(.*)$/m.exec(readFileSync(status, 'utf8')) ?? [];
    expect([role, uids?.split(/\s+/).filter((uid) => uid === '0')]).toEqual([role, []]);
  }
  process.kill('SIGTERM');
  expect([role, await process.exited, process.output().match(/"level":"(error|fatal)".*/g)]).toEqual([
    role,
    { code: 0, signal: null },
    null,
  ]);
  expect([role, await health(env)]).toEqual([role, 1]);
}

const call = async (env: Record<string, string>, method: string, path: string, body: object) => {
  const response = await fetch(`http://127.0.0.1:${env.NOTIFICATION_HTTP_PORT}${path}`, {
    method,
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.ok).toBe(true);
  return (await response.json()) as Record<string, string>;
};

test('the services of compose.yaml, from the image, with its settings and the secrets of .env.example, bring a notification to a socket', async () => {
  const services = Object.keys(compose.services).filter((name) => String(compose.services[name]?.image).startsWith('carillon:'));
  expect(services).toHaveLength(8);
  const starts = services.map(async (name) => startRole(compose.services[name]?.command[0], await environmentHere(name)));
  const started = (await Promise.allSettled(starts)).map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  const envOf = (wanted: string) => started.find(({ role }) => role === wanted)?.env ?? {};
  const api = envOf('api');
  await call(api, 'PUT', '/v1/templates/hello', { ...hello, fields: { name: { type: 'text', class: 'public' } } });
  const { token } = await call(api, 'POST', '/v1/tokens', { userId: 'ann' });
  const client = await TestClient.connect(`ws://127.0.0.1:${envOf('gateway').NOTIFICATION_WS_PORT}`);
  await client.authenticate(token as string);
  await call(api, 'POST', '/v1/notifications', { userId: 'ann', templateId: 'hello', data: { name: 'Ann' } });
  expect(await client.next('notification')).toMatchObject({ event: 'new', data: { title: 'Hello Ann' } });
  await Promise.all(started.map(stop));
  expect((await client.closed).code).toBe(3001);

  // Nothing but the volume was written to, and the trail in it is whole.
  expect(readdirSync(audit).length).toBeGreaterThanOrEqual(services.length);
  const trail = startImage(['audit', 'verify', '--folder', audit], api);
  expect([await trail.exited, trail.output()]).toEqual([{ code: 0, signal: null }, expect.stringContaining('heads of')]);
});

test('all roles, or all workers, in one process, once they are given what a laptop makes for itself', async () => {
  const env = { ...(await environmentHere('api')), LOG_LEVEL: 'info' };
  for (const role of ['all', 'worker']) {
    for (const name of ['REDIS_URL', 'NOTIFICATION_JWT_SECRET', 'NOTIFICATION_ENCRYPTION_KEYS']) {
      const { [name]: _, ...rest } = env as Record<string, string>;
      const refused = startImage([role], rest);
      expect(await refused.exited).toEqual({ code: 1, signal: null });
      expect(refused.output()).toBe(`${role} cannot start; these settings are wrong or missing:\n  ${name}: is required\n`);
    }
    await stop(await startRole(role, env));
  }
});

test('a role the image does not know is answered with those it does', async () => {
  for (const args of [[], ['sh'], ['constructor']]) {
    const process = startImage(args);
    expect((await process.exited).code).toBe(2);
    for (const role of ['api', 'gateway', 'renderer', 'in-app', 'email', 'push', 'sms', 'all', 'worker']) {
      expect(process.output()).toMatch(new RegExp(`^${role} `, 'm'));
    }
  }
});

test('a role without its settings says which, in production as well', async () => {
  const process = startImage(['api']);
  expect((await process.exited).code).toBe(1);
  for (const name of [
    'REDIS_URL: is required',
    'NOTIFICATION_API_KEYS: is required',
    'NOTIFICATION_PHI_POLICY: must be set in production',
  ]) {
    expect(process.output()).toContain(name);
  }
});
