import type { CarillonError, DeliveryStatus } from '@carillon/contracts';
import type { Deliveries, NotificationRecord, Settlement } from '@carillon/deliveries';
import { inventory, openQueueViews, type QueueViews } from '@carillon/queue';
import type { Redis } from '@carillon/redis';

export interface ReconcilerOptions {
  readonly redis: Redis;
  readonly deliveries: Pick<Deliveries, 'open' | 'get' | 'settle'>;
  readonly partitions: number;
  readonly events?: {
    error?(error: CarillonError, about: { stage: string }): void;
    deliverySettled?(channel: string, status: DeliveryStatus, count: number): void;
  };
}

/** How often it is looked, by one process at a time, ms. */
const ROUND_MS = 5 * 60_000;
/** A delivery without a step for this long is looked after, ms: far longer than a try and its pauses take. */
export const SUSPECT_MS = 15 * 60_000;
/** Records looked at in one round; those that have ended are then forgotten. */
const RECORDS = 20_000;
/** Jobs that may be in the queues for a missing one to be told; with more there is a backlog, and what waits is no wonder. */
const JOBS = 20_000;

/** A running reconciler. */
export interface Reconciler {
  /** Looks once. Answers how many deliveries were settled. */
  reconcile(suspectAge?: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * Settles what is left over: a delivery that has been open for long, while no queue holds a job for it (Redis lost the job, or somebody
 * removed it), ends as failed with `JOB_LOST`, or as unknown if a try was begun. Nothing is open for ever, and nobody is told something that is not so.
 */
export async function runReconciler({ redis, deliveries, partitions, events = {} }: ReconcilerOptions): Promise<Reconciler> {
  const views = await openQueueViews(redis, partitions);
  const reconcile = async (suspectAge = SUSPECT_MS) => {
    const suspects = (await deliveries.open(suspectAge, RECORDS)).filter((record) => lastStep(record) <= Date.now() - suspectAge);
    const lost = await withoutJob(suspects, views);
    const steps = (await Promise.all(lost.map(({ id }) => deliveries.get(id))))
      .filter((record) => lastStep(record) <= Date.now() - suspectAge)
      .flatMap(endings);
    if (steps.length === 0) return 0;
    for (const outcome of await deliveries.settle(steps)) if (!outcome.ok) throw outcome.error;
    for (const { channel, status } of steps) events.deliverySettled?.(channel, status, 1);
    return steps.length;
  };

  const round = async () => {
    const mine = await redis.command<string | null>('SET', redis.keys.reconciler, '1', 'PX', Math.floor(ROUND_MS * 0.9), 'NX');
    if (mine !== null) await reconcile();
  };
  const timer = setInterval(
    () => round().catch((error) => events.error?.(error, { stage: 'reconciler' })),
    ROUND_MS * (0.8 + Math.random() * 0.4),
  );
  timer.unref();
  return {
    reconcile,
    async close() {
      clearInterval(timer);
      await views.close();
    },
  };
}

/** Those of which no queue has a job. Looked twice, since a job on its way from one state to another can be missed once. */
async function withoutJob(suspects: readonly NotificationRecord[], views: QueueViews): Promise<readonly NotificationRecord[]> {
  let lost = suspects;
  for (let look = 0; look < 2 && lost.length > 0; look++) {
    const there = await inventory(views.queues, JOBS);
    if (!there) return [];
    lost = lost.filter(({ id }) => !there.has(id));
  }
  return lost;
}

function lastStep({ deliveries }: NotificationRecord): number {
  return Math.max(...deliveries.flatMap(({ times }) => Object.values(times)));
}

/** How the open deliveries of a record end. */
function endings({ id, deliveries }: NotificationRecord): Settlement[] {
  return deliveries.flatMap(({ channel, address, status, attempts, reason }): Settlement[] => {
    const ref = { id, channel, ...(address !== null && { address }), attempts };
    if (status === 'pending' || status === 'held') return [{ ...ref, status: 'failed', reason: 'JOB_LOST' }];
    const undecided = status === 'sending' || (status === 'unknown' && reason !== 'OUTCOME_UNKNOWN');
    return undecided ? [{ ...ref, status: 'unknown', reason: 'OUTCOME_UNKNOWN', final: true }] : [];
  });
}
