import { expect, test } from '@jest/globals';
import { backoff } from './backoff.js';

test('grows with the attempts, jitters over the whole span, and stays under the ceiling', () => {
  const longest = (attempt: number) => Math.max(...Array.from({ length: 500 }, () => backoff(attempt, { retryAfter: undefined })));
  const shortest = (attempt: number) => Math.min(...Array.from({ length: 500 }, () => backoff(attempt, { retryAfter: undefined })));
  expect(longest(1)).toBeLessThanOrEqual(500);
  expect(longest(4)).toBeGreaterThan(2000);
  expect(longest(4)).toBeLessThanOrEqual(4000);
  expect(shortest(4)).toBeLessThan(1000);
  expect(longest(50)).toBeLessThanOrEqual(60_000);
});

test('never undercuts what the other side asked for', () => {
  for (let i = 0; i < 100; i++) expect(backoff(1, { retryAfter: 5000 })).toBeGreaterThanOrEqual(5000);
});
