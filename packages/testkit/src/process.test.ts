import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { spawnProcess } from './process.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'carillon-process-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function script(text: string): string {
  const file = join(folder, 'script.mjs');
  writeFileSync(file, text);
  return file;
}

test('a process is ready when it says so, and sees only the environment it is given', async () => {
  const started = spawnProcess(script(`console.log('ready', Object.keys(process.env).sort().join()); setInterval(() => {}, 1000);`), {
    env: { X: '1' },
  });
  expect((await started.ready(/^ready (.*)$/m))[1]).toBe('HOME,PATH,X');
  started.kill();
  expect(await started.exited).toEqual({ code: null, signal: 'SIGTERM' });
});

test('a process that ends before it is ready fails at once, with what it said', async () => {
  const started = spawnProcess(script(`console.error('no luck'); process.exitCode = 3;`));
  await expect(started.ready('ready')).rejects.toThrow('no luck');
  expect(await started.exited).toEqual({ code: 3, signal: null });
});
