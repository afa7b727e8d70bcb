import { createHash } from 'node:crypto';
import { CarillonError, toCarillonError } from '@carillon/contracts';
import { DelayedError, type Job } from 'bullmq';
import { backoff } from './backoff.js';
import { type Broken, historyOf, type Item, idsOf, itemKey, pack, type StageDefinition, type StageQueue, triesOf } from './stage.js';

/** What a handler is told besides the items. */
export interface Attempt {
  /** 1 for the first try. */
  readonly number: number;
  /** Whether the items were never given up before. */
  readonly fresh: boolean;
  /** Whether they were, and somebody has had them tried again: what was left to a person has been decided. */
  readonly redriven: boolean;
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

/** What a stage does with the items of its jobs. */
export interface Work<T extends Item> {
  readonly definition: StageDefinition<T>;
  /**
   * Works on the items of one job and answers for each: undefined when it is done, else the error. Must be idempotent by item id: a job
   * whose worker died runs again. What it throws counts for all items.
   */
  readonly handle: (items: readonly T[], attempt: Attempt) => Promise<(CarillonError | undefined)[]>;
  /**
   * Notes that items will not be tried again, before their job enters the failed set; of a job that cannot be read only the ids are known.
   * While it throws, the job stays.
   */
  readonly giveUp: (items: readonly (T | { readonly id: string })[], error: CarillonError, attempts: number) => Promise<void>;
  readonly events?: WorkerEvents;
}

/** Where a job was taken from, and where to put what leaves it. */
export interface Place<T extends Item> {
  readonly stage: StageQueue<T>;
  readonly quarantine: StageQueue<T>;
  readonly isolated: boolean;
  readonly signal: AbortSignal;
}

/** How often an isolated item may take its worker down before it is given up. */
const MAX_CRASHES = 3;
/** A stalled job is split into this many: with 10, a batch of 100 needs three crashes to single out an item; with halves it would be seven. */
const SPLIT = 10;
/** What is postponed pauses like a third try: up to 2 s, since no count tells how often it was. */
const POSTPONED_AS = 3;
/** No fault of the items and nothing that was tried with them, so it costs them no try: our own Redis, a provider's absence, our own rate. */
const COSTS_NO_TRY = new Set<string>([
  'REDIS_UNAVAILABLE',
  'KEY_STORE_UNAVAILABLE',
  'QUEUE_FULL',
  'CHANNEL_HELD',
  'CHANNEL_LIMITED',
  'OUTCOME_AWAITED',
]);
/** Of these, what is no fault of anything: a backlog of it would fill the logs. */
const IS_WAITING = new Set<string>(['CHANNEL_HELD', 'CHANNEL_LIMITED', 'OUTCOME_AWAITED']);

/**
 * Works on one job. What it throws tells BullMQ how to go on: try again later, never, or as if nothing had been tried, when it is we who
 * could not do what was to be done about a failure.
 */
export async function processJob<T extends Item>(options: Work<T>, place: Place<T>, job: Job, token: string | undefined): Promise<void> {
  try {
    await work(options, place, job);
  } catch (thrown) {
    if (thrown instanceof JobError) throw thrown;
    const error = thrown instanceof Postponed ? thrown.reason : toCarillonError(thrown);
    if (!IS_WAITING.has(error.code)) options.events?.error?.(error, { stage: options.definition.name, jobId: job.id as string });
    await job.moveToDelayed(Date.now() + backoff(POSTPONED_AS, error), token);
    throw new DelayedError();
  }
}

async function work<T extends Item>(options: Work<T>, place: Place<T>, job: Job): Promise<void> {
  const { definition, events = {} } = options;
  const jobId = job.id as string;
  const startedAt = Date.now();
  const report = (error: CarillonError) => {
    if (IS_WAITING.has(error.code)) return;
    events.itemFailed?.(definition.name, error.code);
    events.error?.(error, { stage: definition.name, jobId });
  };

  const items = await read(options, place, job, report);
  if (items.length === 0) return;
  if (job.stalledCounter > 0 && !place.isolated) return isolate(place, job, items);
  const errors = hasCrashed(place, job)
    ? items.map(() => new CarillonError('JOB_CRASHED_WORKER'))
    : await attempt(options, place, job, items);

  const failed = items.flatMap((item, i) => (errors[i] ? [{ item, error: errors[i] as CarillonError }] : []));
  for (const { error } of failed) report(error);
  events.jobFinished?.(definition.name, items.length - failed.length, Date.now() - startedAt);
  if (failed.length > 0) await settleFailures(options, place, job, items, failed);
}

async function attempt<T extends Item>(
  options: Work<T>,
  place: Place<T>,
  job: Job,
  items: readonly T[],
): Promise<(CarillonError | undefined)[]> {
  try {
    const { givenUp = false, redriven = false } = historyOf(job);
    return await options.handle(items, { number: triesOf(job) + 1, fresh: !givenUp, redriven, signal: place.signal });
  } catch (error) {
    return items.map(() => toCarillonError(error));
  }
}

async function read<T extends Item>(options: Work<T>, place: Place<T>, job: Job, report: (error: CarillonError) => void): Promise<T[]> {
  let known: readonly { id: string }[] = idsOf(job).map((id) => ({ id }));
  try {
    const { items, broken } = await place.stage.read(job.data);
    const [first] = broken;
    if (first && items.length === 0) {
      known = broken;
      throw first.error;
    }
    // Of somebody whose key is not there, perhaps not yet. What can be read does not wait for it.
    await Promise.all(broken.map((one) => setAside(place, job, one)));
    if (first) await job.updateData(place.stage.without(job.data, broken));
    return items;
  } catch (thrown) {
    const error = toCarillonError(thrown);
    // Nothing is known of the job yet.
    if (COSTS_NO_TRY.has(error.code)) throw new Postponed(error);
    report(error);
    // Perhaps sealed with a key that this process is only about to be given.
    const final = error.code !== 'SEAL_BROKEN' || isLastTry(job);
    if (final) await giveUp<T>(options, job, known, error);
    throw new JobError(error, final);
  }
}

function setAside<T extends Item>(place: Place<T>, job: Job, broken: Broken): Promise<void> {
  const tries = triesOf(job) + (COSTS_NO_TRY.has(broken.error.code) ? 0 : 1);
  // One notification may be in a job several times, for several addresses.
  const which = createHash('sha256').update(broken.sealed).digest('hex').slice(0, 16);
  const options = { jobId: `${broken.id}~${which}~${tries}`, tries, delay: backoff(tries, broken.error), history: historyOf(job) };
  return place.stage.setAside(broken, { ...options, priority: job.opts.priority ?? 0 });
}

const isLastTry = (job: Job) => job.attemptsMade + 1 >= (job.opts.attempts ?? 1);

async function settleFailures<T extends Item>(
  options: Work<T>,
  place: Place<T>,
  job: Job,
  items: readonly T[],
  failed: { item: T; error: CarillonError }[],
): Promise<void> {
  const first = (failed[0] as { error: CarillonError }).error;
  const shared = failed.length === items.length && failed.every(({ error }) => error.code === first.code && error.verdict !== 'never');
  if (shared && COSTS_NO_TRY.has(first.code)) throw new Postponed(first);
  if (shared || items.length === 1) {
    const final = first.verdict === 'never';
    if (final || isLastTry(job)) await giveUp(options, job, items, first);
    throw new JobError(first, final);
  }
  await Promise.all(
    failed.map(({ item, error }) => {
      const free = COSTS_NO_TRY.has(error.code);
      const tries = triesOf(job) + (free ? 0 : 1);
      return place.stage.add([pack(item)], {
        jobId: `${itemKey(item)}~${options.definition.name}~${tries}`,
        tries,
        history: historyOf(job),
        // One that cannot succeed runs once more, alone, to fail with its own stack trace in the failed set.
        ...(!free && (error.verdict === 'never' || isLastTry(job))
          ? { last: true }
          : { delay: backoff(free ? POSTPONED_AS : tries, error) }),
      });
    }),
  );
}

async function giveUp<T extends Item>(
  options: Work<T>,
  job: Job,
  items: readonly (T | { readonly id: string })[],
  error: CarillonError,
): Promise<void> {
  // First of all, so that whoever comes by after a death in between knows. Should somebody try it again, deaths of before do not count.
  await job.updateData({ ...job.data, givenUp: true, redriven: false, forgiven: job.stalledCounter });
  await options.giveUp(items, error, triesOf(job) + 1);
}

function hasCrashed<T extends Item>(place: Place<T>, job: Job): boolean {
  const { forgiven = 0 } = job.data as { forgiven?: number };
  return place.isolated && job.stalledCounter - forgiven >= MAX_CRASHES;
}

/** A worker died with this job: the innocent leave the suspect's company. Ids are deterministic, so that dying here once more adds nothing twice. */
async function isolate<T extends Item>(place: Place<T>, job: Job, items: readonly T[]): Promise<void> {
  const tries = triesOf(job);
  if (items.length === 1) return place.quarantine.add(items.map(pack), { jobId: `${job.id}~alone`, tries, history: historyOf(job) });
  const size = Math.ceil(items.length / SPLIT);
  const pieces = Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
  await Promise.all(
    pieces.map((piece, i) => place.stage.add(piece.map(pack), { jobId: `${job.id}~${i}`, tries, history: historyOf(job) })),
  );
}

/** The job is to be tried again as if it had not been. */
class Postponed extends Error {
  readonly reason: CarillonError;

  constructor(reason: CarillonError) {
    super(reason.code);
    this.reason = reason;
  }
}

/**
 * How a failure is told to BullMQ, which keeps message and stack in clear: code and message of our own error, and the frames of the
 * original stack, never a foreign message, which may quote what was being worked on.
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
