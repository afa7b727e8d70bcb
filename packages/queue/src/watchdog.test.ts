import { expect, test } from '@jest/globals';
import { STUCK_MS, Watchdog } from './watchdog.js';

test('a worker that starts jobs, or has none to start, is left alone', () => {
  const dog = new Watchdog(0);
  dog.started(STUCK_MS - 1);
  expect(dog.judge(STUCK_MS, 5, 0)).toBe('fine');
  expect(dog.judge(3 * STUCK_MS, 0, 0)).toBe('fine');
  expect(dog.judge(5 * STUCK_MS, 5, 1)).toBe('fine');
});

test('one that starts nothing while jobs wait is replaced once, then given up', () => {
  const dog = new Watchdog(0);
  expect(dog.judge(STUCK_MS, 5, 0)).toBe('replace');
  expect(dog.judge(STUCK_MS + 1, 5, 0)).toBe('fine');
  expect(dog.judge(2 * STUCK_MS, 5, 0)).toBe('give up');
});

test('a replaced one that works again has a clean sheet', () => {
  const dog = new Watchdog(0);
  expect(dog.judge(STUCK_MS, 5, 0)).toBe('replace');
  dog.started(STUCK_MS + 10);
  expect(dog.judge(3 * STUCK_MS, 5, 0)).toBe('replace');
});
