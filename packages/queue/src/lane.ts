import type { Redis } from '@carillon/redis';
import { type Job, type Queue, Worker } from 'bullmq';
import { backoff } from './backoff.js';
import { KEEP_FAILED } from './stage.js';
import { Watchdog } from './watchdog.js';

/** One BullMQ worker on one queue. */
export interface Lane {
  /** Looks whether the worker still takes jobs, and replaces it if not. Answers whether even that did not help. */
  isStuck(): Promise<boolean>;
  /** Removes failed jobs past their term, which BullMQ itself does only when another job ends. */
  clean(): Promise<void>;
  /** Stops taking jobs and waits for those under way, unless `abort` comes first. */
  close(abort: AbortSignal): Promise<void>;
}

/** Another worker takes a dead one's jobs after this long at most, twice the check interval on top; ms. */
const LOCK_MS = 10_000;
const STALLED_CHECK_MS = 5000;
/** BullMQ fails a job that stalled more often. Far above what happens here, where a stalled job is split or isolated at once. */
const MAX_STALLED = 10;
/** Pause after a lost connection before fetching again, ms. BullMQ's own 15 s would hold up work after Redis is back. */
const FETCH_RETRY_MS = 500;
/** Jobs removed by one cleaning at most. */
const CLEAN_LIMIT = 1000;

/** Runs `processor` on the jobs of a queue, `concurrency` at once. Errors it throws may carry `retryAfter`. Closing it closes the queue too. */
export function openLane(
  redis: Redis,
  queue: Queue,
  concurrency: number,
  processor: (job: Job, token: string | undefined) => Promise<void>,
  onError: (error: Error) => void,
): Lane {
  const watchdog = new Watchdog(Date.now());
  const start = () => {
    const worker = new Worker(
      queue.name,
      (job, token) => {
        watchdog.started(Date.now());
        return processor(job, token);
      },
      {
        connection: redis.connection,
        prefix: queue.opts.prefix as string,
        concurrency,
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_CHECK_MS,
        maxStalledCount: MAX_STALLED,
        runRetryDelay: FETCH_RETRY_MS,
        settings: {
          backoffStrategy: (attemptsMade, _type, error) =>
            backoff(attemptsMade ?? 1, { retryAfter: (error as { retryAfter?: number }).retryAfter }),
        },
      },
    );
    worker.on('error', onError);
    return worker;
  };
  let worker = start();
  let closed = false;
  return {
    async isStuck() {
      if (closed || !watchdog.isDue(Date.now())) return false;
      const { wait = 0, prioritized = 0, active = 0 } = await queue.getJobCounts('wait', 'prioritized', 'active');
      // Jobs of a queue that somebody paused wait as they should.
      const waiting = (await queue.isPaused()) ? 0 : wait + prioritized;
      const advice = watchdog.judge(Date.now(), waiting, active);
      if (advice === 'replace' && !closed) {
        worker.close(true).catch(onError);
        worker = start();
      }
      return advice === 'give up';
    },
    async clean() {
      await queue.clean(KEEP_FAILED.age * 1000, CLEAN_LIMIT, 'failed');
    },
    async close(abort) {
      closed = true;
      const aborted = new Promise<void>((resolve) => {
        if (abort.aborted) resolve();
        else abort.addEventListener('abort', () => resolve(), { once: true });
      });
      await Promise.race([worker.close(), aborted]);
      await queue.close();
    },
  };
}
