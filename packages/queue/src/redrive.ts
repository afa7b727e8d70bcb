import { loadScript, type Redis, redisError } from '@carillon/redis';
import { type FinishedStatus, Job, Queue, type RetryOptions } from 'bullmq';
import { MAX_ATTEMPTS, openQueue } from './stage.js';

const restoreScript = loadScript(new URL('../lua/restore.lua', import.meta.url));

/** By this code BullMQ says that a job is not in the state it was expected in. */
const NOT_IN_STATE = -3;
/** And by this one that it is not there at all. */
const NOT_THERE = -1;

/**
 * A queue whose failed jobs, tried again by whoever (Bull Board, a redrive), get all their tries back; with BullMQ's own they would have one.
 * Close it when done.
 */
export function openRedrivableQueue(redis: Redis, name: string): Queue {
  class RedrivableJob extends Job {
    override async retry(state: FinishedStatus = 'failed', options: RetryOptions = {}): Promise<void> {
      if (state !== 'failed') return super.retry(state, options);
      const keys = [this.queue.toKey('failed'), this.queue.toKey(this.id as string)];
      const restored = await redis.run<number>(restoreScript, { keys, args: [this.id as string, this.finishedOn ?? 0, MAX_ATTEMPTS] });
      if (restored === 0) throw Object.assign(new Error('The job is not failed any more'), { code: NOT_IN_STATE });
      return super.retry(state, { ...options, resetAttemptsMade: true, resetAttemptsStarted: true });
    }
  }
  return openQueue(
    redis,
    name,
    class extends Queue {
      protected override get Job(): typeof Job {
        return RedrivableJob as typeof Job;
      }
    },
  );
}

/** Tries a failed job again. Of many who ask at once, one is answered true; so is nobody if the job has gone or failed anew since `failedAt`. @throws REDIS_UNAVAILABLE, QUEUE_FULL */
export async function retryFailed(queue: Queue, jobId: string, failedAt: number): Promise<boolean> {
  try {
    const job = await queue.getJob(jobId);
    if (job?.finishedOn !== failedAt) return false;
    await job.retry('failed');
    return true;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === NOT_IN_STATE || code === NOT_THERE) return false;
    throw redisError(error);
  }
}
