import { afterEach, expect, jest, test } from '@jest/globals';
import { createRate, networkOf } from './index.js';

afterEach(() => {
  jest.useRealTimers();
});

test('a key has its count at once, then nothing until its window is over; others have their own', async () => {
  jest.useFakeTimers();
  const rate = createRate({ count: 3, window: 1000 });
  for (let remaining = 2; remaining >= 0; remaining--) expect(await rate.take('a')).toEqual({ ok: true, remaining, resetMs: 1000 });
  jest.advanceTimersByTime(400);
  expect(await rate.take('a')).toEqual({ ok: false, retryAfter: 600 });
  expect(await rate.take('b', 3)).toMatchObject({ ok: true, remaining: 0 });
  expect(await rate.take('c', 4)).toMatchObject({ ok: false });
  jest.advanceTimersByTime(600);
  expect(await rate.take('a')).toMatchObject({ ok: true, remaining: 2 });
});

test('what is taken at the same time is counted exactly', async () => {
  const rate = createRate({ count: 100, window: 60_000 });
  const taken = await Promise.all(Array.from({ length: 1000 }, () => rate.take('a')));
  expect(taken.filter(({ ok }) => ok)).toHaveLength(100);
});

test('of more keys than it remembers, those that were silent longest begin anew', async () => {
  const rate = createRate({ count: 1, window: 60_000 });
  await rate.take('silent');
  await rate.take('loud');
  for (let i = 0; i < 99_999; i++) {
    await rate.take(`stranger ${i}`);
    if (i % 1000 === 0) expect(await rate.take('loud')).toMatchObject({ ok: false });
  }
  expect(await rate.take('loud')).toMatchObject({ ok: false });
  expect(await rate.take('silent')).toMatchObject({ ok: true });
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8::5:6', '2001:db8:0:0'],
  ['2001:db8:1:2::', '2001:db8:1:2'],
  ['::1', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['192.0.2.1:51000', '192.0.2.1'],
  ['[2001:db8:1:2::9]:443', '2001:db8:1:2'],
  ['unknown', ''],
  ['x'.repeat(9000), ''],
  ['', ''],
])('%s counts as %s', (ip, network) => {
  expect(networkOf(ip)).toBe(network);
});
