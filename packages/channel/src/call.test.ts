import { CarillonError } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { failed, handEach, meaningOfStatus, retryAfterOf, unlessAborted } from './call.js';
import { messageTo, never, outcomes } from './testing.js';

test.each([
  ['2', 2_000],
  [' 10 ', 10_000],
  ['0', 0],
  ['Wed, 21 Oct 2015 07:28:00 GMT', 0],
  ['soon', undefined],
  ['9'.repeat(400), undefined],
  ['', undefined],
  [undefined, undefined],
])('Retry-After %j is %j ms', (value, expected) => {
  expect(retryAfterOf({ 'retry-after': value })).toBe(expected);
});

test('Retry-After may be a date ahead, and headers may be unknown', () => {
  const ms = retryAfterOf({ 'retry-after': new Date(Date.now() + 60_000).toUTCString() });
  expect(ms).toBeGreaterThan(50_000);
  expect(ms).toBeLessThanOrEqual(60_000);
  expect(retryAfterOf(undefined)).toBeUndefined();
});

test.each([
  [200, undefined],
  [202, undefined],
  [302, 'PROVIDER_MISCONFIGURED'],
  [400, 'PROVIDER_REFUSED'],
  [401, 'PROVIDER_MISCONFIGURED'],
  [403, 'PROVIDER_MISCONFIGURED'],
  [404, 'PROVIDER_MISCONFIGURED'],
  [405, 'PROVIDER_MISCONFIGURED'],
  [413, 'PROVIDER_REFUSED'],
  [429, 'PROVIDER_LIMITED'],
  [500, 'PROVIDER_UNAVAILABLE'],
  [503, 'PROVIDER_UNAVAILABLE'],
])('status %i means %j', (status, code) => {
  expect(meaningOfStatus(status)).toBe(code);
});

test('work is waited for until the signal, and for the grace after it', async () => {
  const later = <T>(ms: number, value: T) => new Promise<T>((resolve) => setTimeout(resolve, ms, value));
  expect(await unlessAborted(later(10, 'done'), never)).toBe('done');
  expect(await unlessAborted(Promise.resolve('done'), AbortSignal.abort())).toBeUndefined();
  expect(await unlessAborted(Promise.resolve('done'), AbortSignal.abort(), 1_000)).toBe('done');
  expect(await unlessAborted(later(100, 'done'), AbortSignal.timeout(10), 10_000)).toBe('done');
  expect(await unlessAborted(new Promise(() => undefined), AbortSignal.timeout(10), 50)).toBeUndefined();
  await expect(unlessAborted(Promise.reject(new Error('failed')), never)).rejects.toThrow('failed');
});

const messages = ['a', 'b', 'c'].map((value) => messageTo({ kind: 'email', value: `${value}@home.example` }));

test('each message is handed over by itself: what one throws leaves the others known, and its own words behind', async () => {
  const sent = await handEach(messages, never, async ({ to }) => {
    if (to.value.startsWith('a')) throw new Error('a@home.example is busy');
    if (to.value.startsWith('b')) throw new CarillonError('PROVIDER_LIMITED', { retryAfter: 5 });
    return { ok: true };
  });
  expect(outcomes(sent)).toEqual(['PROVIDER_OUTCOME_UNKNOWN', 'PROVIDER_LIMITED', 'sent']);
  const { error } = sent[0] as { error: Error };
  expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain('home.example');
});

test('with a signal that was given before, nothing is handed over', async () => {
  const sent = await handEach(messages, AbortSignal.abort(), () => Promise.reject(new Error('was called')));
  expect(outcomes(sent)).toEqual(messages.map(() => 'PROVIDER_UNAVAILABLE'));
});

test('a failure carries its pause where there is one', () => {
  expect(failed('PROVIDER_LIMITED', 'said', 7)).toMatchObject({
    ok: false,
    error: { code: 'PROVIDER_LIMITED', message: 'said', retryAfter: 7 },
  });
  expect(failed('PROVIDER_REFUSED', 'said')).toMatchObject({ error: { retryAfter: undefined } });
});
