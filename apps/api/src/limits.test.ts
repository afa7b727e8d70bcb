import { afterEach, expect, jest, test } from '@jest/globals';
import type { FastifyReply } from 'fastify';
import { createGuesses, createLimits, networkOf } from './limits.js';

afterEach(() => {
  jest.useRealTimers();
});

/** A reply that remembers its headers. */
function reply() {
  const headers: Record<string, string> = {};
  return { headers: (more: Record<string, string>) => Object.assign(headers, more), said: headers } as unknown as FastifyReply & {
    said: typeof headers;
  };
}

test('a caller has a second’s worth at once, then none until the second is over; others have their own', async () => {
  jest.useFakeTimers();
  const limits = createLimits(0.003);
  const answer = reply();
  for (let left = 2; left >= 0; left--) {
    await limits.take(answer, 'a');
    expect(answer.said).toEqual({ 'ratelimit-policy': '"default";q=3;w=1', ratelimit: `"default";r=${left};t=1` });
  }
  await expect(limits.take(answer, 'a')).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfter: expect.any(Number) });
  expect(answer.said.ratelimit).toBe('"default";r=0;t=1');
  await limits.take(answer, 'b');
  jest.advanceTimersByTime(1000);
  await limits.take(answer, 'a');
});

test('less than one a second is one in a longer while', async () => {
  jest.useFakeTimers();
  const limits = createLimits(1 / 2000);
  const answer = reply();
  await limits.take(answer, 'a');
  expect(answer.said['ratelimit-policy']).toBe('"default";q=1;w=2');
  jest.advanceTimersByTime(1500);
  await expect(limits.take(answer, 'a')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  jest.advanceTimersByTime(500);
  await limits.take(answer, 'a');
});

test('what costs more than there is passes where nothing else was asked', async () => {
  const limits = createLimits(0.005);
  await limits.take(reply(), 'a', 10);
  await expect(limits.take(reply(), 'a')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  await limits.take(reply(), 'b', 1);
  await expect(limits.take(reply(), 'b', 10)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});

test('after 60 failures a network is heard only with what was accepted from it before, for a minute', async () => {
  jest.useFakeTimers();
  const guesses = createGuesses();
  guesses.accepted('192.0.2.1', 'good');
  for (let i = 0; i < 60; i++) {
    await guesses.admit('192.0.2.1', `guess ${i}`);
    await guesses.failed('192.0.2.1');
  }
  for (const credential of ['guess', undefined, 'another good one']) {
    await expect(guesses.admit('192.0.2.1', credential)).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfter: expect.any(Number) });
  }
  await guesses.admit('192.0.2.1', 'good');
  await guesses.admit('::ffff:192.0.2.1', 'good');
  await guesses.admit('192.0.2.2', 'guess');
  // Known from one network only.
  await expect(guesses.admit('192.0.2.1', 'good ')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  jest.advanceTimersByTime(60_001);
  await guesses.admit('192.0.2.1', 'guess');
});

test('of good credentials the ten thousand used last are remembered', async () => {
  const guesses = createGuesses();
  guesses.accepted('192.0.2.1', 'used again');
  guesses.accepted('192.0.2.1', 'forgotten');
  for (let i = 0; i < 9_999; i++) {
    if (i === 5_000) guesses.accepted('192.0.2.1', 'used again');
    guesses.accepted('192.0.2.1', `${i}`);
  }
  for (let i = 0; i < 60; i++) await guesses.failed('192.0.2.1');
  await guesses.admit('192.0.2.1', 'used again');
  await expect(guesses.admit('192.0.2.1', 'forgotten')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8::5:6', '2001:db8:0:0'],
  ['2001:db8:1:2::', '2001:db8:1:2'],
  ['::1', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['', ''],
])('%s counts as %s', (ip, network) => {
  expect(networkOf(ip)).toBe(network);
});
