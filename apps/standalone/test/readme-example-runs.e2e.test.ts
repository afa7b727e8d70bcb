import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startRedis } from '@carillon/testkit';
import { expect, test } from '@jest/globals';

test('the library example of the README runs as it is written', async () => {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  const [, example = ''] = /```js\n(.*?)```/s.exec(readme) ?? [];
  expect(example).toContain('new NotificationService');
  // Beside the build, from where the package is found by its own name.
  const script = fileURLToPath(new URL(`../dist/readme-example-${process.pid}.mjs`, import.meta.url));
  writeFileSync(script, example);
  const redis = await startRedis();
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [script], {
      env: { ...process.env, NODE_OPTIONS: '', REDIS_URL: redis.url },
    });
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe('Upcoming Appointment true 1');
  } finally {
    rmSync(script);
    await redis.stop();
  }
});
