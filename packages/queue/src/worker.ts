import { CarillonError, toCarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Vault } from '@carillon/vault';
import type { Job } from 'bullmq';
import { backoff } from './backoff.js';
import { type Lane, openLane } from './lane.js';
import { recordPartitions } from './partitions.js';
import { createStageQueue, type Item, pack, quarantineName, queueName, type StageDefinition, type StageQueue, triesOf } from './stage.js';

/** What a handler is told besides the items. */
export interface Attempt {
  /** 1 for the first try. */
  readonly number: number;
  /** Aborted when the process must end before the handler has. */
  readonly signal: AbortSignal;
}

/** What a worker reports. Everything but `stuck` is for metrics and logs. */
export interface WorkerEvents {
  jobFinished?(stage: string, items: number, ms: number): void;
  itemFailed?(stage: string, code: string): void;
  error?(error: CarillonError, about: { stage: string; jobId?: string }): void;
  /** The worker stopped taking jobs and a new one in its place did not help: end the process. */
  stuck?(stage: string): void;
}

export interface StageWorkerOptions<T extends Item> {
  readonly redis: Redis;
  readonly vault: Vault;
  readonly definition: StageDefinition<T>;
  /** Partitions this process is configured for; it also covers those others have used. */
  readonly partitions: number;
  /** Jobs of one partition worked on at once. */
  readonly concurrency: number;
  /**
   * Works on the items of one job and answers for each: undefined when it is done, else the error. Must be idempotent by item id: a job
   * whose worker died runs again. What it throws counts for all items.
   */
  readonly handle: (items: readonly T[], attempt: Attempt) => Promise<(CarillonError | undefined)[]>;
  /** Items that will not be tried again, before their job enters the failed set. */
  readonly giveUp: (items: readonly T[], error: CarillonError, attempts: number) => Promise<void>;
  readonly events?: WorkerEvents;
}

/** A running stage. */
export interface StageWorker {
  /** Stops taking jobs, waits up to `deadlineMs` for those under way, then aborts them and leaves them to be taken over. */
  close(deadlineMs: number): Promise<void>;
}

/** How often an isolated item may take its worker down before it is given up. */
const MAX_CRASHES = 3;
/** A stalled job is split into this many: with 10, a batch of 100 needs three crashes to single out an item; with halves it would be seven. */
const SPLIT = 10;
/** How often the lanes are looked at, and how often jobs past their term are removed; ms. */
const WATCH_MS = 10_000;
const CLEAN_MS = 3600_000;

/**
 * Runs a stage: takes jobs of all partitions, hands their items to `handle`, and deals with what fails.
 *
 * - All items failed for one transient reason: the whole job is tried again.
 * - Some failed: each leaves as a job of its own, with one try less, after a pause; one that cannot succeed fails at once, alone.
 * - The worker died: the job is split, and a single item goes to quarantine, where one job runs at a time.
 */
export async function runStage<T extends Item>(options: StageWorkerOptions<T>): Promise<StageWorker> {
  const { redis, definition, concurrency, events = {} } = options;
  const lanes = new Map<string, Lane>();
  const aborts = new AbortController();
  const quarantine = createStageQueue(options, definition, quarantineName(definition.name));
  const open = (stage: StageQueue<T>, jobs: number, isolated: boolean) =>
    openLane(
      redis,
      stage.queue,
      jobs,
      (job) => processJob(options, { stage, quarantine, isolated, signal: aborts.signal }, job),
      (error) => events.error?.(toCarillonError(error), { stage: definition.name }),
    );

  let closing: Promise<void> | undefined;
  const cover = async () => {
    const count = await recordPartitions(redis, options.partitions);
    for (let partition = 0; partition < count; partition++) {
      const name = queueName(definition.name, partition);
      if (!closing && !lanes.has(name)) lanes.set(name, open(createStageQueue(options, definition, name), concurrency, false));
    }
  };
  await cover();
  lanes.set(quarantineName(definition.name), open(quarantine, 1, true));

  const watch = async () => {
    await cover();
    for (const lane of lanes.values()) if (await lane.isStuck()) events.stuck?.(definition.name);
  };
  const clean = async () => {
    for (const lane of lanes.values()) await lane.clean();
  };
  // What Redis keeps from being done now is done in the next round.
  const timers = [setInterval(() => watch().catch(() => {}), WATCH_MS), setInterval(() => clean().catch(() => {}), CLEAN_MS)];
  for (const timer of timers) timer.unref();

  return {
    close(deadlineMs) {
      closing ??= (async () => {
        for (const timer of timers) clearInterval(timer);
        const deadline = setTimeout(() => aborts.abort(new CarillonError('SERVICE_CLOSED')), deadlineMs);
        await Promise.all([...lanes.values()].map((lane) => lane.close(aborts.signal)));
        clearTimeout(deadline);
      })();
      return closing;
    },
  };
}

interface Place<T extends Item> {
  readonly stage: StageQueue<T>;
  readonly quarantine: StageQueue<T>;
  readonly isolated: boolean;
  readonly signal: AbortSignal;
}

async function processJob<T extends Item>(options: StageWorkerOptions<T>, place: Place<T>, job: Job): Promise<void> {
  const { definition, events = {} } = options;
  const jobId = job.id as string;
  const startedAt = Date.now();
  let items: T[];
  try {
    items = place.stage.read(jobId, job.data);
  } catch (error) {
    events.itemFailed?.(definition.name, 'JOB_UNREADABLE');
    throw new JobError(toCarillonError(error), true);
  }
  if (job.stalledCounter > 0 && !place.isolated) return isolate(place, job, items);

  const crashed = place.isolated && job.stalledCounter >= MAX_CRASHES;
  const errors = crashed
    ? items.map(() => new CarillonError('JOB_CRASHED_WORKER'))
    : await options
        .handle(items, { number: triesOf(job) + 1, signal: place.signal })
        .catch((error): (CarillonError | undefined)[] => items.map(() => toCarillonError(error)));

  const failed = items.flatMap((item, i) => (errors[i] ? [{ item, error: errors[i] as CarillonError }] : []));
  for (const { error } of failed) {
    events.itemFailed?.(definition.name, error.code);
    events.error?.(error, { stage: definition.name, jobId });
  }
  events.jobFinished?.(definition.name, items.length - failed.length, Date.now() - startedAt);
  if (failed.length > 0) await settleFailures(options, place, job, items, failed);
}

async function settleFailures<T extends Item>(
  options: StageWorkerOptions<T>,
  place: Place<T>,
  job: Job,
  items: readonly T[],
  failed: { item: T; error: CarillonError }[],
): Promise<void> {
  const first = (failed[0] as { error: CarillonError }).error;
  const shared = failed.length === items.length && failed.every(({ error }) => error.code === first.code && error.verdict !== 'never');
  const tries = triesOf(job) + 1;
  const exhausted = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
  if (items.length === 1 || shared) {
    if (first.verdict === 'never' || exhausted) await options.giveUp(items, first, tries);
    throw new JobError(first, first.verdict === 'never');
  }
  await Promise.all(
    failed.map(({ item, error }) =>
      place.stage.add([pack(item)], {
        jobId: `${item.id}~${options.definition.name}~${tries}`,
        tries,
        // One that cannot succeed runs once more, alone, to fail with its own stack trace in the failed set.
        ...(error.verdict === 'never' || exhausted ? { last: true } : { delay: backoff(tries, error) }),
      }),
    ),
  );
}

/** A worker died with this job: the innocent leave the suspect's company. Ids are deterministic, so that dying here once more adds nothing twice. */
async function isolate<T extends Item>(place: Place<T>, job: Job, items: readonly T[]): Promise<void> {
  const tries = triesOf(job);
  if (items.length === 1) return place.quarantine.add(items.map(pack), { jobId: `${job.id}~alone`, tries });
  const size = Math.ceil(items.length / SPLIT);
  const pieces = Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
  await Promise.all(pieces.map((piece, i) => place.stage.add(piece.map(pack), { jobId: `${job.id}~${i}`, tries })));
}

/**
 * How a failure is told to BullMQ, which keeps message and stack in clear: code, the catalogue's words, and the frames of the original
 * stack, never the original message, which may quote what was being worked on.
 */
class JobError extends Error {
  readonly retryAfter: number | undefined;

  constructor(error: CarillonError, final: boolean) {
    super(`${error.code}: ${error.message}`);
    // By this name BullMQ knows that it must not retry.
    this.name = final ? 'UnrecoverableError' : 'JobError';
    this.retryAfter = error.retryAfter;
    const origin = error.cause instanceof Error ? error.cause : error;
    const frames = (origin.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
    this.stack = [this.message, ...frames].join('\n');
  }
}
