import { expect, test } from '@jest/globals';
import { Breaker } from './breaker.js';

const fail = (breaker: Breaker, times: number, now: number) => {
  for (let i = 0; i < times; i++) breaker.acquire(now)?.('fails');
};

test('opens after failures in a row, and not before', () => {
  const breaker = new Breaker();
  fail(breaker, 4, 0);
  breaker.acquire(0)?.('works');
  fail(breaker, 4, 0);
  expect(breaker.isAvailable()).toBe(true);
  fail(breaker, 1, 0);
  expect(breaker.acquire()).toBeUndefined();
});

test('what says nothing of the provider changes nothing', () => {
  const breaker = new Breaker();
  for (let i = 0; i < 50; i++) breaker.acquire()?.('nothing');
  expect(breaker.isAvailable()).toBe(true);
});

test('lets one call through after its pause, and more with each that works', () => {
  const breaker = new Breaker();
  fail(breaker, 5, Date.now());
  const later = Date.now() + 60_000;
  const probe = breaker.acquire(later);
  expect(probe).toBeDefined();
  expect(breaker.acquire(later)).toBeUndefined();
  probe?.('works');
  const two = [breaker.acquire(later), breaker.acquire(later)];
  expect(two.every(Boolean)).toBe(true);
  expect(breaker.acquire(later)).toBeUndefined();
  for (const release of two) release?.('works');
  for (let i = 0; i < 10; i++) breaker.acquire(later)?.('works');
  const many = Array.from({ length: 500 }, () => breaker.acquire(later));
  expect(many.every(Boolean)).toBe(true);
});

test('a probe that fails closes it again, for longer each time', () => {
  const breaker = new Breaker();
  const start = Date.now();
  fail(breaker, 5, start);
  breaker.pause(10_000, start);
  expect(breaker.isAvailable(start + 9_999)).toBe(false);
  expect(breaker.isAvailable(start + 10_001)).toBe(true);
  expect(breaker.holdFor(start)).toBeGreaterThanOrEqual(10_000);
});

test('calls that were under way when it opened do not lengthen its pause', () => {
  const breaker = new Breaker();
  const calls = Array.from({ length: 50 }, () => breaker.acquire());
  for (const release of calls) release?.('fails');
  expect(breaker.isAvailable(Date.now() + 1100)).toBe(true);
});
