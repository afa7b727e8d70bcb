import type { AuditEvent } from '@carillon/audit';
import { afterEach, expect, jest, test } from '@jest/globals';
import { ANYBODY } from './guard.js';
import { createStrangers } from './strangers.js';

afterEach(() => {
  jest.useRealTimers();
});

const counted = (action: string, outcome: string, count: number) => ({ actor: ANYBODY, action, outcome, about: { count } });

test('what strangers fail with is one record a minute and code, and none when there was nothing', () => {
  jest.useFakeTimers();
  const noted: AuditEvent[] = [];
  const strangers = createStrangers({ note: (event) => noted.push(event) });
  jest.advanceTimersByTime(600_000);
  expect(noted).toEqual([]);
  for (let i = 0; i < 100_000; i++) strangers.failed({ action: 'access.refused', outcome: i % 4 === 0 ? 'TOKEN_INVALID' : 'UNAUTHORIZED' });
  expect(noted).toEqual([]);
  jest.advanceTimersByTime(60_000);
  expect(noted).toEqual([counted('access.refused', 'TOKEN_INVALID', 25_000), counted('access.refused', 'UNAUTHORIZED', 75_000)]);
  noted.length = 0;
  jest.advanceTimersByTime(600_000);
  expect(noted).toEqual([]);
  strangers.failed({ action: 'access.refused', outcome: 'UNAUTHORIZED' });
  jest.advanceTimersByTime(60_000);
  expect(noted).toEqual([counted('access.refused', 'UNAUTHORIZED', 1)]);
});

test('closing writes what was counted', () => {
  const noted: AuditEvent[] = [];
  const strangers = createStrangers({ note: (event) => noted.push(event) });
  strangers.failed({ action: 'access.refused', outcome: 'UNAUTHORIZED' });
  strangers.close();
  expect(noted).toEqual([counted('access.refused', 'UNAUTHORIZED', 1)]);
  strangers.close();
  expect(noted).toHaveLength(1);
});
