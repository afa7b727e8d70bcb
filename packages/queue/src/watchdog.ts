/** What to do about a worker. */
export type Advice = 'fine' | 'replace' | 'give up';

/** A worker that starts nothing for this long while jobs wait has stopped taking them; ms. */
export const STUCK_MS = 30_000;

/**
 * Watches a worker for the silent death that its own reports do not show (bullmq issues 4138 and 4585 were of that kind): jobs wait, none is
 * under way, none was started. The first time it advises a new worker, and when that one starts nothing either, to give up.
 */
export class Watchdog {
  #quietSince: number;
  #replaced = false;

  /** `now` in ms, as in all methods. */
  constructor(now: number) {
    this.#quietSince = now;
  }

  /** A job was started. */
  started(now: number): void {
    this.#quietSince = now;
    this.#replaced = false;
  }

  /** Whether it is time to look at the queue at all. */
  isDue(now: number): boolean {
    return now - this.#quietSince >= STUCK_MS;
  }

  /** What to do, given the jobs that wait and those under way in any process. */
  judge(now: number, waiting: number, active: number): Advice {
    if (!this.isDue(now)) return 'fine';
    this.#quietSince = now;
    if (waiting === 0 || active > 0) return 'fine';
    if (this.#replaced) return 'give up';
    this.#replaced = true;
    return 'replace';
  }
}
