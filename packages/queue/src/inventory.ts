import type { Job, Queue } from 'bullmq';
import { idsOf } from './stage.js';

const STATES = ['prioritized', 'wait', 'delayed', 'active', 'failed'] as const;
/** Jobs read at once. */
const PAGE = 500;

/**
 * Ids of the notifications that any job of these queues carries, in whatever state; undefined if there are more than `limit` jobs, which is too many to
 * tell. A job that changes its state meanwhile may be missed.
 */
export async function inventory(queues: readonly Queue[], limit: number): Promise<Set<string> | undefined> {
  const ids = new Set<string>();
  let jobs = 0;
  for (const queue of queues) {
    for (const state of STATES) {
      for (let from = 0; ; from += PAGE) {
        const page = (await queue.getJobs(state, from, from + PAGE - 1)).filter((job: Job | undefined) => job !== undefined);
        for (const job of page) for (const id of idsOf(job)) ids.add(id);
        jobs += page.length;
        if (jobs > limit) return undefined;
        if (page.length < PAGE) break;
      }
    }
  }
  return ids;
}
