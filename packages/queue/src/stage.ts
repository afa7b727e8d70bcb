import { createHash, randomUUID } from 'node:crypto';
import { type Address, CarillonError, type Priority, parse, priorityRank } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Vault } from '@carillon/vault';
import { type Job, type JobsOptions, Queue } from 'bullmq';
import type { z } from 'zod';

/** What every item of a job has. */
export interface Item {
  readonly id: string;
  readonly userId: string;
  readonly priority: Priority;
  /** Where it goes, once that is known. */
  readonly to?: Address | undefined;
}

/** What tells an item from all others of its stage: one notification may go to several addresses. */
export const itemKey = ({ id, to }: Pick<Item, 'id' | 'to'>): string => (to?.id === undefined ? id : `${id}~${to.id}`);

/** What a stage's jobs carry and how many of it. */
export interface StageDefinition<T extends Item> {
  /** `render`, or a channel. */
  readonly name: string;
  /** Items one job carries at most, by what kind of address they go to; jobs are of one kind. */
  readonly itemsPerJob: (kind: string | undefined) => number;
  readonly item: z.ZodType<T>;
}

/** How a job is stored. Ids are in clear, so that a person can find a job; the items are sealed for the job's id. */
interface JobData extends History {
  readonly v: 1;
  readonly ids: string[];
  /** Tries the items had in other jobs before this one. */
  readonly tries: number;
  readonly sealed: string;
}

/** Bytes of items one job may carry: bounds what one failure repeats and what one command ships. */
export const JOB_MAX_BYTES = 64 * 1024;
/** Tries an item gets before it is given up: with full jitter and the ceiling, about four minutes, at most eight. */
export const MAX_ATTEMPTS = 15;
/** Failed jobs kept to look at and to try again: seven days, in seconds. */
export const KEEP_FAILED = { age: 7 * 24 * 3600, count: 10_000 };
/** Entries of BullMQ's event stream per queue; nothing here reads it, and it cannot be switched off. */
const EVENTS_KEPT = 1000;
/** Frames of a stack trace kept with a failed job, per attempt. */
const STACK_TRACES_KEPT = 5;

export const BACKOFF = 'full-jitter';

export interface AddOptions {
  /** Equal ids are one job as long as that job is kept. */
  readonly jobId: string;
  /** ms before the first try. */
  readonly delay?: number;
  /** Tries the items had before, of MAX_ATTEMPTS. */
  readonly tries?: number;
  /** Whether this is the last try, whatever they had. */
  readonly last?: boolean;
  /** What befell the items in the jobs before. */
  readonly history?: History;
}

/** What befell the items of a job that a stage must not forget. */
export interface History {
  /** They were given up once. */
  readonly givenUp?: boolean | undefined;
  /** Somebody has them tried again since. */
  readonly redriven?: boolean | undefined;
}

/** What befell the items of a job. */
export function historyOf(job: Job): History {
  const { givenUp, redriven } = (job.data ?? {}) as History;
  return { ...(givenUp && { givenUp }), ...(redriven && { redriven }) };
}

/** An item with its JSON, made once: it is measured, gathered and sealed in this form. */
export interface Packed<T extends Item> {
  readonly item: T;
  readonly json: string;
}

/** Makes an item ready for a job. */
export function pack<T extends Item>(item: T): Packed<T> {
  return { item, json: JSON.stringify(item) };
}

/** One partition of one stage's queue. */
export interface StageQueue<T extends Item> {
  readonly queue: Queue;
  /** Queues one job. All items share the priority of the first. @throws whatever the connection throws */
  add(items: readonly Packed<T>[], options: AddOptions): Promise<void>;
  /** The items of a job. @throws JOB_UNREADABLE, SEAL_BROKEN */
  read(jobId: string, data: unknown): T[];
}

/** The name of one partition's queue. */
export const queueName = (stage: string, partition: number) => `${stage}-${partition}`;
/** The name of the queue where single items go that were there when a worker died. */
export const quarantineName = (stage: string) => `${stage}-quarantine`;

/** A BullMQ queue, or one of a `kind` derived from it, on a shared connection. Close it when done. */
export function openQueue(redis: Redis, name: string, kind = Queue): Queue {
  const queue = new kind(name, {
    connection: redis.connection,
    prefix: redis.keys.queue(name),
    streams: { events: { maxLen: EVENTS_KEPT } },
    skipWaitingForReady: true,
  });
  // Failures reach whoever called; without a listener they would end the process as well.
  queue.on('error', () => {});
  return queue;
}

/** A queue of jobs of 1..K sealed items. The caller closes `queue`. */
export function createStageQueue<T extends Item>(
  parts: { redis: Redis; vault: Vault },
  definition: StageDefinition<T>,
  name: string,
): StageQueue<T> {
  const queue = openQueue(parts.redis, name);
  return {
    queue,
    async add(items, { jobId, delay = 0, tries = 0, last = false, history = {} }) {
      const first = items[0];
      if (!first) return;
      const sealed = parts.vault.seal('job', jobId, `[${items.map(({ json }) => json).join()}]`);
      const data: JobData = { v: 1, ids: items.map(({ item }) => item.id), tries, ...history, sealed };
      await queue.add(definition.name, data, jobOptions(jobId, first.item.priority, delay, last ? 1 : Math.max(1, MAX_ATTEMPTS - tries)));
    },
    read(jobId, data) {
      const { sealed } = (data ?? {}) as Partial<JobData>;
      if (typeof sealed !== 'string') throw new CarillonError('JOB_UNREADABLE');
      const items = parseList(parts.vault.open('job', jobId, sealed));
      return items.map((item) => parse(definition.item, item, 'JOB_UNREADABLE'));
    },
  };
}

function jobOptions(jobId: string, priority: Priority, delay: number, attempts: number): JobsOptions {
  return {
    jobId,
    priority: priorityRank[priority] ?? priorityRank.normal,
    delay,
    attempts,
    backoff: { type: BACKOFF },
    // What is done is told by the delivery records; a kept job would be a second, sealed copy and a third of the queue's writes.
    removeOnComplete: true,
    removeOnFail: KEEP_FAILED,
    stackTraceLimit: STACK_TRACES_KEPT,
  };
}

function parseList(json: string): unknown[] {
  try {
    const list: unknown = JSON.parse(json);
    if (Array.isArray(list) && list.length > 0) return list;
  } catch {
    // Its message would quote the text.
  }
  throw new CarillonError('JOB_UNREADABLE');
}

/** The ids of a job's items, which are in clear. */
export function idsOf(job: Job): string[] {
  const { ids } = (job.data ?? {}) as Partial<JobData>;
  return Array.isArray(ids) ? ids.filter((id) => typeof id === 'string') : [];
}

/** Tries made with the items of a job, in it and before it. */
export function triesOf(job: Job): number {
  return ((job.data as Partial<JobData>).tries ?? 0) + job.attemptsMade;
}

/** Cuts items into jobs: of one priority and kind, of as many items as the stage says and JOB_MAX_BYTES (a larger item travels alone). */
export function toJobs<T extends Item>(items: readonly T[], { itemsPerJob }: StageDefinition<T>): Packed<T>[][] {
  const open = new Map<string, { items: Packed<T>[]; bytes: number }>();
  const jobs: Packed<T>[][] = [];
  for (const item of items) {
    const packed = pack(item);
    const bytes = Buffer.byteLength(packed.json);
    const kind = item.to?.kind;
    const company = kind === undefined ? item.priority : `${item.priority} ${kind}`;
    const job = open.get(company);
    if (job && job.items.length < itemsPerJob(kind) && job.bytes + bytes <= JOB_MAX_BYTES) {
      job.items.push(packed);
      job.bytes += bytes;
    } else {
      const fresh = { items: [packed], bytes };
      open.set(company, fresh);
      jobs.push(fresh.items);
    }
  }
  return jobs;
}

/** A job id that is the same for the same items, so that a stage that runs twice does not queue the next one twice. */
export function jobIdOf(items: readonly Packed<Item>[]): string {
  if (items.length === 1) return itemKey((items[0] as Packed<Item>).item);
  const hash = createHash('sha256');
  for (const { item } of items) hash.update(itemKey(item));
  return `batch-${hash.digest('hex').slice(0, 32)}`;
}

/** A job id no other job has. */
export const newJobId = (): string => randomUUID();
