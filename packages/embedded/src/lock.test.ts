import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { heldGeneration, takeLock } from './lock.js';
import { identify, isAlive } from './process-identity.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'carillon-lock-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('one holder at a time, and a new generation for each', () => {
  const first = takeLock(dir);
  expect(takeLock(dir)).toBeUndefined();
  expect(heldGeneration(dir)).toBe(first?.generation);
  first?.release();
  expect(heldGeneration(dir)).toBeUndefined();
  expect(takeLock(dir)?.generation).toBe((first?.generation ?? 0) + 1);
});

test('a holder that is gone holds nothing, even if its number is used again', () => {
  const gone = spawnSync(process.execPath, ['-e', '']).pid;
  writeFileSync(join(dir, '1'), JSON.stringify({ pid: gone, started: 'long ago' }));
  expect(takeLock(dir)?.generation).toBe(2);
  writeFileSync(join(dir, '3'), JSON.stringify({ ...identify(process.pid), started: 'another time' }));
  expect(takeLock(dir)?.generation).toBe(4);
  expect(readdirSync(dir)).toEqual(['4']);
});

test('a number surpassed meanwhile gives nothing', () => {
  writeFileSync(join(dir, '7'), JSON.stringify(identify(process.pid)));
  writeFileSync(join(dir, '5'), JSON.stringify({ pid: 0 }));
  expect(takeLock(dir)).toBeUndefined();
});

test('a process is identified while it lives', () => {
  const self = identify(process.pid);
  expect(self).toBeDefined();
  expect(self && isAlive(self)).toBe(true);
  expect(identify(2 ** 22 + 1)).toBeUndefined();
});
