import { CarillonError, toCarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Vault } from '@carillon/vault';
import { type Lane, openLane } from './lane.js';
import { recordPartitions } from './partitions.js';
import { createStageQueue, type Item, quarantineName, queueName, type StageQueue } from './stage.js';
import { processJob, type Work } from './work.js';

/** What a stage's worker is built from. */
export interface StageWorkerOptions<T extends Item> extends Work<T> {
  readonly redis: Redis;
  readonly vault: Vault;
  /** Partitions this process is configured for; it also covers those others have used. */
  readonly partitions: number;
  /** Jobs of one partition worked on at once. */
  readonly concurrency: number;
}

/** A running stage. */
export interface StageWorker {
  /** Stops taking jobs, waits up to `deadlineMs` for those under way, then aborts them and leaves them to be taken over. */
  close(deadlineMs: number): Promise<void>;
}

/** How often the lanes are looked at, and how often jobs past their term are removed; ms. */
const WATCH_MS = 10_000;
const CLEAN_MS = 3600_000;

/**
 * Runs a stage: takes jobs of all partitions, hands their items to `handle`, and deals with what fails.
 *
 * - All items failed for one transient reason: the whole job is tried again; while it is Redis itself that is away or full, at no cost.
 * - Some failed: each leaves as a job of its own, with one try less, after a pause; one that cannot succeed fails at once, alone.
 * - The worker died: the job is split, and a single item goes to quarantine, where each process runs one job at a time.
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
      (job, token) => processJob(options, { stage, quarantine, isolated, signal: aborts.signal }, job, token),
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
