import { afterEach, expect, jest, test } from '@jest/globals';
import type { FastifyReply } from 'fastify';
import { createGuesses, createLimits } from './limits.js';

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
  for (const [rate, most] of [
    [0.005, 5],
    [1 / 2000, 1],
  ] as const) {
    const limits = createLimits(rate);
    const ask = async (who: string, more: number) => {
      await limits.take(reply(), who);
      await limits.takeMore(reply(), who, more);
    };
    await ask('a', 9);
    await expect(ask('a', 0)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    for (let i = 1; i < most; i++) await limits.take(reply(), 'b');
    if (most > 1) await expect(ask('b', 9)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  }
});

test('of the wrong credentials of a network 60 a minute are only wrong, those that follow are too many', async () => {
  jest.useFakeTimers();
  const guesses = createGuesses();
  for (let i = 0; i < 60; i++) expect(await guesses.failed('192.0.2.1')).toBeUndefined();
  for (const ip of ['192.0.2.1', '::ffff:192.0.2.1'])
    expect(await guesses.failed(ip)).toMatchObject({ code: 'RATE_LIMITED', retryAfter: expect.any(Number) });
  expect(await guesses.failed('192.0.2.2')).toBeUndefined();
  jest.advanceTimersByTime(60_001);
  expect(await guesses.failed('192.0.2.1')).toBeUndefined();
});
