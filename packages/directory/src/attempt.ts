import { toCarillonError } from '@carillon/contracts';
import type { Outcome } from '@carillon/redis';

/** What a step gives, or how it fails: one of many must not fail the others. */
export function attempt<T>(step: () => T): Outcome<T> {
  try {
    return { ok: true, value: step() };
  } catch (thrown) {
    return { ok: false, error: toCarillonError(thrown) };
  }
}

/** What an outcome holds; its error is thrown. */
export function resultOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw outcome.error;
  return outcome.value;
}
