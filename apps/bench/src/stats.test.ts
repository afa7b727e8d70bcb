import { expect, test } from '@jest/globals';
import { median, quantile, readable } from './stats.js';

test('median', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test('quantile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(quantile(hundred, 0.5)).toBe(50);
  expect(quantile(hundred, 0.99)).toBe(99);
  expect(quantile([7], 0.99)).toBe(7);
});

test('readable', () => {
  expect([12345.6, 12.34, 1.2, 0.333].map(readable)).toEqual(['12,346', '12.3', '1.20', '0.33']);
});
