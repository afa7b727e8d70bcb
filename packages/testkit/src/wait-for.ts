import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds between two looks. */
const POLL = 20;

export interface WaitOptions {
  /** Milliseconds; 10 000 if absent. */
  timeout?: number;
  /** What is waited for, for the error's message. */
  what: string;
}

/** What a look can find when there is nothing yet. */
type Falsy = false | 0 | '' | null | undefined;

/**
 * Looks every 20 ms until `look` finds something truthy, and resolves with it. A look that throws has found nothing; its error becomes
 * the cause.
 *
 * @throws Error naming `what` when the time is over.
 */
export async function waitFor<T>(look: () => T | Promise<T>, { timeout = 10_000, what }: WaitOptions): Promise<Exclude<T, Falsy>> {
  const deadline = Date.now() + timeout;
  let cause: unknown;
  do {
    try {
      const found = await look();
      if (found) return found as Exclude<T, Falsy>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await sleep(POLL);
  } while (Date.now() < deadline);
  throw new Error(`waited ${timeout} ms in vain for ${what}`, { cause });
}
