import { loadScript, type Redis } from '@carillon/redis';
import type { Queue } from 'bullmq';

/** Where jobs are that will still be worked on. */
const STATES = ['prioritized', 'wait', 'paused', 'delayed', 'active'] as const;
/** Jobs looked at in one call: bounds how long Redis is busy with it. */
const PAGE = 200;

const inventoryScript = loadScript(new URL('../lua/inventory.lua', import.meta.url));

/** A queue and the stage it is of. */
export interface StageOfQueue {
  readonly stage: string;
  readonly queue: Queue;
}

/**
 * `<stage> <notification id>` of all that is still to be worked on; undefined if there are more than `limit` jobs, which is too many to tell. A job that
 * changes its state meanwhile may be missed.
 */
export async function inventory(redis: Redis, queues: readonly StageOfQueue[], limit: number): Promise<Set<string> | undefined> {
  const there = new Set<string>();
  let jobs = 0;
  for (const { stage, queue } of queues) {
    for (const state of STATES) {
      for (let from = 0; ; from += PAGE) {
        const call = { keys: [queue.toKey(state)], args: [queue.toKey(''), from, from + PAGE - 1] };
        const [count, ...lists] = await redis.run<[number, ...string[]]>(inventoryScript, call);
        for (const list of lists) for (const id of JSON.parse(list) as string[]) there.add(`${stage} ${id}`);
        jobs += count;
        if (jobs > limit) return undefined;
        if (count < PAGE) break;
      }
    }
  }
  return there;
}
