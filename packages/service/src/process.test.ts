import { CarillonError } from '@carillon/contracts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ProcessParts, runProcess, type Started } from './process.js';

let said = '';
const write = process.stderr.write;
beforeEach(() => {
  said = '';
  process.stderr.write = ((text: string) => {
    said += text;
    return true;
  }) as typeof write;
});
afterEach(() => {
  process.stderr.write = write;
});

const quiet = { LOG_LEVEL: 'silent' };
type Parts = ProcessParts<never>;

/** Runs a process whose start has been reached when `parts` resolves. */
function run(start: (parts: Parts) => Promise<Started>, source: Record<string, string> = quiet) {
  let reached: (parts: Parts) => void = () => {};
  const parts = new Promise<Parts>((resolve) => {
    reached = resolve;
  });
  const code = runProcess('test', { required: [], source }, async (given) => {
    reached(given);
    return start(given);
  });
  return { code, parts };
}

test('settings that are wrong are printed together, plainly, and the code is 1', async () => {
  const source = { NOTIFICATION_HTTP_PORT: 'x' };
  const code = await runProcess('api', { required: ['redisUrl'], source }, () => Promise.reject(new Error('must not start')));
  expect(code).toBe(1);
  expect(said).toBe(
    'api cannot start; these settings are wrong or missing:\n  REDIS_URL: is required\n  NOTIFICATION_HTTP_PORT: must be a whole number from 0 to 65535\n',
  );
});

test('production tells what is wrong with the settings and with Redis in one go, and starts nothing', async () => {
  const source = {
    NODE_ENV: 'production',
    REDIS_URL: 'redis://a',
    NOTIFICATION_JWT_SECRET: 'short',
    NOTIFICATION_HTTP_PORT: 'x',
    ...quiet,
  };
  const probe = async () => ({ evictionPolicy: 'allkeys-lru' });
  const never = () => Promise.reject(new Error('must not start'));
  expect(await runProcess('gateway', { required: ['redisUrl', 'encryptionKeys'], source, probe, sockets: true }, never)).toBe(1);
  const settings = [...said.matchAll(/^ {2}(\w+):/gm)].map(([, setting]) => setting);
  expect(settings).toEqual([
    'NOTIFICATION_HTTP_PORT',
    'NOTIFICATION_ENCRYPTION_KEYS',
    'NOTIFICATION_PHI_POLICY',
    'REDIS_URL',
    'REDIS_URL',
    'NOTIFICATION_WS_PORT',
    'NOTIFICATION_JWT_SECRET',
  ]);
});

test('a wrong word about accepted risks hides nothing', async () => {
  const source = {
    NODE_ENV: 'production',
    NOTIFICATION_PHI_POLICY: 'strict',
    NOTIFICATION_ACCEPT_RISK: 'weak-secret, everything',
    NOTIFICATION_JWT_SECRET: 'short',
    REDIS_URL: 'redis://a',
    ...quiet,
  };
  const away = () => Promise.reject(new CarillonError('REDIS_UNAVAILABLE'));
  const never = () => Promise.reject(new Error('must not start'));
  expect(await runProcess('gateway', { required: [], source, probe: away, sockets: true }, never)).toBe(1);
  expect([...said.matchAll(/^ {2}(\w+):/gm)].map(([, setting]) => setting)).toEqual([
    'NOTIFICATION_ACCEPT_RISK',
    'REDIS_URL',
    'NOTIFICATION_WS_PORT',
    'NOTIFICATION_JWT_SECRET',
    'REDIS_URL',
  ]);
});

test('a Redis that is away is not told of while settings are wrong; what is wrong with its address is', async () => {
  const source = {
    NODE_ENV: 'production',
    NOTIFICATION_HTTP_PORT: 'x',
    NOTIFICATION_PHI_POLICY: 'strict',
    REDIS_URL: 'rediss://a',
    ...quiet,
  };
  const never = () => Promise.reject(new Error('must not start'));
  const run = (code: 'REDIS_UNAVAILABLE' | 'CONFIGURATION_INVALID') => {
    const probe = () => Promise.reject(new CarillonError(code, { message: 'REDIS_URL: the file cannot be read' }));
    return runProcess('api', { required: [], source, probe }, never);
  };
  expect(await run('REDIS_UNAVAILABLE')).toBe(1);
  expect(said).not.toContain('REDIS_URL');
  expect(await run('CONFIGURATION_INVALID')).toBe(1);
  expect(said).toContain('  REDIS_URL: the file cannot be read\n');
});

test('production does not start with a risk that nobody accepted, and does with one that was', async () => {
  const source = { NODE_ENV: 'production', NOTIFICATION_PHI_POLICY: 'strict', NOTIFICATION_JWT_SECRET: 'short', ...quiet };
  let started = 0;
  const start = async ({ fail }: { fail: (error: unknown) => void }) => {
    started++;
    fail(new Error('enough'));
    return {};
  };
  await runProcess('gateway', { required: [], source }, start);
  expect(started).toBe(0);
  expect(said).toContain('NOTIFICATION_ACCEPT_RISK=weak-secret');
  await runProcess('gateway', { required: [], source: { ...source, NOTIFICATION_ACCEPT_RISK: 'weak-secret' } }, start);
  expect(started).toBe(1);
});

test('a failed start undoes what was built, last first', async () => {
  const undone: string[] = [];
  const { code } = run(async ({ defer }) => {
    defer('a', () => undone.push('a'));
    defer('b', () => undone.push('b'));
    throw new CarillonError('CONFIGURATION_INVALID', { message: 'REDIS_URL: cannot be reached' });
  });
  expect(await code).toBe(1);
  expect(undone).toEqual(['b', 'a']);
  expect(said).toContain('  REDIS_URL: cannot be reached\n');
  expect(said).not.toContain('at ');
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s closes everything and gives 0', async (signal) => {
  const before = process.listenerCount(signal);
  const undone: string[] = [];
  const { code, parts } = run(async ({ defer }) => {
    defer('a', () => undone.push('a'));
    return {};
  });
  await parts;
  process.emit(signal, signal);
  expect(await code).toBe(0);
  expect(undone).toEqual(['a']);
  expect(process.listenerCount(signal)).toBe(before);
});

test('a step of closing that fails gives 1', async () => {
  const { code, parts } = run(async ({ defer }) => {
    defer('a', () => Promise.reject(new Error('stuck')));
    return {};
  });
  await parts;
  process.emit('SIGTERM', 'SIGTERM');
  expect(await code).toBe(1);
});

test('a second signal gives up at once', async () => {
  let letGo: () => void = () => {};
  const hanging = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const { code, parts } = run(async ({ defer }) => {
    defer('hangs', () => hanging);
    return {};
  });
  await parts;
  process.emit('SIGINT', 'SIGINT');
  process.emit('SIGINT', 'SIGINT');
  expect(await code).toBe(1);
  letGo();
});

test('fail and an uncaught error close everything and give 1', async () => {
  for (const cause of ['fail', 'uncaughtException'] as const) {
    const undone: string[] = [];
    const { code, parts } = run(async ({ defer }) => {
      defer('a', () => undone.push('a'));
      return {};
    });
    const { fail } = await parts;
    if (cause === 'fail') fail(new Error('broken'));
    else process.emit('uncaughtException', new Error('broken'));
    expect(await code).toBe(1);
    expect(undone).toEqual(['a']);
  }
});

test('a signal during the start ends it: what it still builds is undone', async () => {
  const undone: string[] = [];
  let goOn: () => void = () => {};
  const waiting = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const { code, parts } = run(async ({ defer }) => {
    defer('a', () => undone.push('a'));
    await waiting;
    defer('b', () => undone.push('b'));
    undone.push('built further');
    return {};
  });
  await parts;
  process.emit('SIGTERM', 'SIGTERM');
  goOn();
  expect(await code).toBe(0);
  expect(undone).toEqual(['a', 'b']);
});

test('the admin port tells readiness from the start to the end', async () => {
  let port = 0;
  let ready = false;
  const { createServer } = await import('node:net');
  const probe = createServer().listen(0);
  await new Promise((resolve) => probe.once('listening', resolve));
  port = (probe.address() as { port: number }).port;
  await new Promise((resolve) => probe.close(resolve));
  const status = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status;

  let finishStart: () => void = () => {};
  const starting = new Promise<void>((resolve) => {
    finishStart = resolve;
  });
  let closing = 0;
  const { code, parts } = run(
    async ({ defer }) => {
      defer('a', async () => {
        closing = await status();
      });
      await starting;
      return { ready: async () => ready };
    },
    { ...quiet, NOTIFICATION_ADMIN_PORT: String(port) },
  );
  await parts;
  expect(await status()).toBe(503);
  finishStart();
  await starting;
  expect(await status()).toBe(503);
  ready = true;
  expect(await status()).toBe(200);
  process.emit('SIGTERM', 'SIGTERM');
  expect(await code).toBe(0);
  expect(closing).toBe(503);
});
