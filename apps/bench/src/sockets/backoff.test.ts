import { expect, test } from '@jest/globals';
import { backoff } from './backoff.js';

test('waits double up to half a minute, and are anything below', () => {
  const longest = [0, 1, 2, 4, 5, 500].map((attempts) => backoff(attempts, () => 1));
  expect(longest).toEqual([1_000, 2_000, 4_000, 16_000, 30_000, 30_000]);
  expect(backoff(3, () => 0)).toBe(0);
  expect(backoff(3, () => 0.25)).toBe(2_000);
});
