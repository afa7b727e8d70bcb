import { CarillonError, type ErrorCode } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { Breaker } from './breaker.js';
import { rest, showingOf } from './health.js';
import type { Sent } from './provider.js';

const ok: Sent = { ok: true };
const not = (code: ErrorCode, detail: { field?: string; retryAfter?: number } = {}): Sent => ({
  ok: false,
  error: new CarillonError(code, detail),
});
const limited = not('PROVIDER_LIMITED', { retryAfter: 5000 });
const full = not('PROVIDER_LIMITED', { field: 'to', retryAfter: 5000 });
const misconfigured = not('PROVIDER_MISCONFIGURED');

test.each<[string, Sent[], string]>([
  ['sent', [ok], 'works'],
  ['a refusal', [not('PROVIDER_REFUSED')], 'works'],
  ['a full mailbox', [full], 'works'],
  ['a limit of ours', [limited], 'nothing'],
  ['wrong credentials', [misconfigured], 'nothing'],
  ['absence', [not('PROVIDER_UNAVAILABLE'), limited], 'fails'],
  ['absence after something was sent', [ok, not('PROVIDER_UNAVAILABLE')], 'works'],
])('%s', (_, sent, showing) => {
  expect(showingOf(sent)).toBe(showing);
});

test.each<[string, Sent[], boolean]>([
  ['a limit of ours', [limited, limited], true],
  ['a limit of some of a call', [limited, ok], false],
  ['a full mailbox', [full], false],
  ['full mailboxes only', [full, full], false],
  ['wrong credentials', [misconfigured], true],
  ['what one of a call is refused with', [misconfigured, ok], false],
])('%s: paused %s', (_, sent, paused) => {
  const breaker = new Breaker();
  const refusal = rest(breaker, sent);
  expect(breaker.isAvailable()).toBe(!paused);
  expect(refusal?.code).toBe(paused && sent.includes(misconfigured) ? 'PROVIDER_MISCONFIGURED' : undefined);
});
