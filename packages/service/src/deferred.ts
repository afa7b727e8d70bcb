import { CarillonError } from '@carillon/contracts';

/** A step of closing that went wrong. */
export interface CloseFailure {
  /** What was to be closed. */
  readonly what: string;
  readonly error: unknown;
}

/** How to undo what was built, in the order it was built. */
export interface Deferred {
  /**
   * Notes how to undo what was just built. After `close` it undoes it at once.
   *
   * @throws SERVICE_CLOSED after `close` was called, so that whoever goes on building stops.
   */
  defer(what: string, close: () => unknown): void;
  /**
   * Undoes everything, last first, within `deadline` ms in all. A step that fails or is late does not keep the others from being taken.
   * Called again, it gives the same promise. Never rejects: resolves with what went wrong.
   */
  close(deadline?: number): Promise<CloseFailure[]>;
}

/** Milliseconds closing may take: orchestrators kill after 30 s by default. */
export const CLOSE_DEADLINE = 25_000;

/** An empty list of things to undo. */
export function createDeferred(): Deferred {
  const steps: { what: string; close: () => unknown }[] = [];
  let closed: Promise<CloseFailure[]> | undefined;

  const run = async (deadline: number): Promise<CloseFailure[]> => {
    const failures: CloseFailure[] = [];
    const end = Date.now() + deadline;
    for (let step = steps.pop(); step; step = steps.pop()) {
      // Late steps are still taken, only not waited for: killing a child or closing a port needs no wait.
      const error = await attempt(step.close, Math.max(0, end - Date.now()));
      if (error !== undefined) failures.push({ what: step.what, error });
    }
    return failures;
  };

  return {
    defer(what, close) {
      if (closed) {
        void attempt(close, CLOSE_DEADLINE);
        throw new CarillonError('SERVICE_CLOSED');
      }
      steps.push({ what, close });
    },
    close(deadline = CLOSE_DEADLINE) {
      closed ??= run(deadline);
      return closed;
    },
  };
}

/** What went wrong, or undefined. */
async function attempt(close: () => unknown, ms: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<unknown>((resolve) => {
    timer = setTimeout(() => resolve(new CarillonError('INTERNAL', { message: 'was not closed in time' })), ms);
  });
  const done = (async () => {
    try {
      await close();
      return undefined;
    } catch (error) {
      return error ?? new CarillonError('INTERNAL');
    }
  })();
  try {
    return await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}
