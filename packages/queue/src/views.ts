import { channelNames } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Queue } from 'bullmq';
import { type FailedItems, openFailed } from './failed.js';
import { inventory } from './inventory.js';
import { recordPartitions } from './partitions.js';
import { openRedrivableQueue } from './redrive.js';
import { quarantineName, queueName } from './stage.js';
import { renderStage } from './stages.js';

/** How many jobs of a queue are in a state. */
export interface QueueCount {
  readonly queue: string;
  readonly state: string;
  readonly length: number;
}

/** All queues, to look at. Close it when done. */
export interface QueueViews extends FailedItems {
  /** BullMQ queues of every stage and partition, for Bull Board. A failed job that is tried again there gets all its tries back. */
  readonly queues: readonly Queue[];
  /** What is still to be worked on, see `inventory`. */
  inventory(limit: number): Promise<Set<string> | undefined>;
  /** Jobs by queue and state. */
  counts(): Promise<QueueCount[]>;
  /** Whether nothing of these stages waits, is under way, or is due by now. */
  idle(stages: readonly string[]): Promise<boolean>;
  close(): Promise<void>;
}

const STATES = ['wait', 'prioritized', 'active', 'delayed', 'failed', 'completed'] as const;

/** BullMQ keeps delayed jobs under their due time in ms, shifted by 12 bits that number the jobs of one millisecond. */
const DELAYED_SCORE_UNIT = 2 ** 12;

async function nextDue(redis: Redis, queue: Queue): Promise<number> {
  const [, score] = await redis.command<string[]>('ZRANGE', queue.toKey('delayed'), 0, 0, 'WITHSCORES');
  return score === undefined ? Number.POSITIVE_INFINITY : Number(score) / DELAYED_SCORE_UNIT;
}

/** Opens every queue there is, without working on any. @throws REDIS_UNAVAILABLE */
export async function openQueueViews(redis: Redis, partitions: number): Promise<QueueViews> {
  const count = await recordPartitions(redis, partitions);
  const views = [renderStage.name, ...channelNames].flatMap((stage) => [
    ...Array.from({ length: count }, (_, partition) => ({ stage, queue: openRedrivableQueue(redis, queueName(stage, partition)) })),
    { stage, queue: openRedrivableQueue(redis, quarantineName(stage)) },
  ]);
  return {
    ...openFailed(redis, views),
    queues: views.map((view) => view.queue),
    inventory: (limit) => inventory(redis, views, limit),
    async counts() {
      const counts = await Promise.all(
        views.map(async ({ queue }) =>
          Object.entries(await queue.getJobCounts(...STATES)).map(([state, length]): QueueCount => ({ queue: queue.name, state, length })),
        ),
      );
      return counts.flat();
    },
    async idle(stages) {
      const busy = await Promise.all(
        views
          .filter(({ stage }) => stages.includes(stage))
          .map(async ({ queue }) => {
            const {
              wait = 0,
              prioritized = 0,
              active = 0,
              delayed = 0,
            } = await queue.getJobCounts('wait', 'prioritized', 'active', 'delayed');
            if (wait + prioritized + active > 0) return true;
            return delayed > 0 && (await nextDue(redis, queue)) <= Date.now();
          }),
      );
      return !busy.includes(true);
    },
    async close() {
      await Promise.all(views.map(({ queue }) => queue.close()));
    },
  };
}
