import { type Audit, noAudit } from '@carillon/audit';
import type { CarillonError, DeliveryStatus } from '@carillon/contracts';
import type { Deliveries, Delivery, NotificationRecord, Settlement } from '@carillon/deliveries';
import { openQueueViews, type QueueViews, renderStage } from '@carillon/queue';
import type { Redis } from '@carillon/redis';
import { createSettle } from './settle.js';

export interface ReconcilerOptions {
  readonly redis: Redis;
  readonly deliveries: Pick<Deliveries, 'open' | 'settle'>;
  readonly partitions: number;
  /** Where it is noted what became of deliveries; nowhere if absent. */
  readonly audit?: Pick<Audit, 'note'>;
  readonly events?: {
    error?(error: CarillonError, about: { stage: string }): void;
    deliverySettled?(channel: string, status: DeliveryStatus, count: number): void;
  };
}

const OPEN: readonly DeliveryStatus[] = ['pending', 'held', 'sending', 'unknown'];
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
export async function runReconciler(options: ReconcilerOptions): Promise<Reconciler> {
  const { redis, deliveries, partitions, audit = noAudit, events = {} } = options;
  const views = await openQueueViews(redis, partitions);
  const settle = createSettle({ deliveries, audit, events });
  const reconcile = async (suspectAge = SUSPECT_MS) => {
    const suspects = (await deliveries.open(suspectAge, RECORDS)).flatMap((record) => suspectsOf(record, Date.now() - suspectAge));
    // Refused where a worker has got hold of it meanwhile.
    return settle((await withoutJob(suspects, views)).map(endingOf));
  };

  const round = async () => {
    const mine = await redis.command<string | null>('SET', redis.keys.reconciler, '1', 'PX', ROUND_MS / 2, 'NX');
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

/** A delivery that has been open for long. */
interface Suspect {
  readonly id: string;
  readonly delivery: Delivery;
}

/** Open deliveries without a step since then; what is left unknown to a person is none. */
function suspectsOf({ id, deliveries }: NotificationRecord, since: number): Suspect[] {
  return deliveries
    .filter(({ status, reason, at }) => OPEN.includes(status) && reason !== 'OUTCOME_UNKNOWN' && at <= since)
    .map((delivery) => ({ id, delivery }));
}

/** Those for which no queue has a job. Looked twice, since a job on its way from one state to another can be missed once. */
async function withoutJob(suspects: readonly Suspect[], views: QueueViews): Promise<readonly Suspect[]> {
  let lost = suspects;
  for (let look = 0; look < 2 && lost.length > 0; look++) {
    const there = await views.inventory(JOBS);
    if (!there) return [];
    lost = lost.filter(({ id, delivery }) => !there.has(`${renderStage.name} ${id}`) && !there.has(`${delivery.channel} ${id}`));
  }
  return lost;
}

/** How a delivery ends that nobody will work on any more: nothing was tried, or nobody knows. */
function endingOf({ id, delivery: { channel, address, status, attempts } }: Suspect): Settlement {
  const ref = { id, channel, ...(address !== null && { address }), attempts };
  const tried = status === 'sending' || status === 'unknown';
  return tried ? { ...ref, status: 'unknown', reason: 'OUTCOME_UNKNOWN' } : { ...ref, status: 'failed', reason: 'JOB_LOST' };
}
