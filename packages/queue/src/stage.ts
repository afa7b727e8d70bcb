import { createHash, randomUUID } from 'node:crypto';
import { type Address, CarillonError, type Priority, parse, priorityRank, toCarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { PersonKey, Vault } from '@carillon/vault';
import { type Job, type JobsOptions, Queue } from 'bullmq';
import type { z } from 'zod';

/** What every item of a job has. */
export interface Item {
  readonly id: string;
  readonly userId: string;
  readonly priority: Priority;
  /** Where it goes, once that is known. */
  readonly to?: Address | undefined;
  /** When it was accepted, ms since the epoch: what was accepted before its user was erased is not queued again. */
  readonly createdAt?: number | undefined;
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

/**
 * How a job is stored. Ids are in clear, so that somebody can find a job; each item is sealed for the job's id under the key of its own user, so
 * that whoever is erased is gone from jobs as well, and whom it is for is told by the name of that key only.
 */
interface JobData extends History {
  readonly v: 2;
  readonly ids: string[];
  /** Names of the users' keys, as many as ids. */
  readonly owners: string[];
  /** Tries the items had in other jobs before this one. */
  readonly tries: number;
  /** As many as ids. */
  readonly sealed: string[];
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

/** An item of a job that cannot be opened, by this process or now. */
export interface Broken {
  readonly id: string;
  readonly owner: string;
  readonly sealed: string;
  readonly error: CarillonError;
}

/** One partition of one stage's queue. */
export interface StageQueue<T extends Item> {
  readonly queue: Queue;
  /**
   * Queues one job. All items share the priority of the first. Items of somebody who is being erased are left out. @throws whatever the connection
   * throws, KEY_STORE_UNAVAILABLE
   */
  add(items: readonly Packed<T>[], options: AddOptions): Promise<void>;
  /**
   * The items of a job. Those whose users were erased since are left out; those that cannot be opened are told apart, still sealed.
   * @throws JOB_UNREADABLE, KEY_STORE_UNAVAILABLE, REDIS_UNAVAILABLE
   */
  read(data: unknown): Promise<{ items: T[]; broken: Broken[] }>;
  /** Queues an item that cannot be opened as a job of its own, as it is. */
  setAside(broken: Broken, options: AddOptions & { readonly priority: number }): Promise<void>;
  /** What a job holds without those that were set aside. */
  without(data: unknown, broken: readonly Broken[]): object;
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
  const put = async (content: SealedItems, priority: number, { jobId, delay = 0, tries = 0, last = false, history = {} }: AddOptions) => {
    const data: JobData = { v: 2, ...content, tries, ...history };
    await queue.add(definition.name, data, jobOptions(jobId, priority, delay, last ? 1 : Math.max(1, MAX_ATTEMPTS - tries)));
  };
  return {
    queue,
    async add(items, options) {
      const { ids, owners, sealed } = await sealItems(parts.vault, definition.name, items);
      if (ids.length === 0) return;
      const { priority } = (items[0] as Packed<T>).item;
      await put({ ids, owners, sealed }, priorityRank[priority] ?? priorityRank.normal, options);
    },
    async read(data) {
      const opened = await openItems(parts.vault, definition.name, data);
      return {
        items: opened.texts.map((text) => parse(definition.item, parseItem(text), 'JOB_UNREADABLE')),
        broken: opened.broken,
      };
    },
    without: (data, broken) => leave(data as JobData, new Set(broken.map(({ sealed }) => sealed))),
    setAside: ({ id, owner, sealed }, { priority, ...options }) => put({ ids: [id], owners: [owner], sealed: [sealed] }, priority, options),
  };
}

function jobOptions(jobId: string, priority: number, delay: number, attempts: number): JobsOptions {
  return {
    jobId,
    priority,
    delay,
    attempts,
    backoff: { type: BACKOFF },
    // What is done is told by the delivery records; a kept job would be a second, sealed copy and a third of the queue's writes.
    removeOnComplete: true,
    removeOnFail: KEEP_FAILED,
    stackTraceLimit: STACK_TRACES_KEPT,
  };
}

type SealedItems = Pick<JobData, 'ids' | 'owners' | 'sealed'>;

/** What each item is bound to besides its user: moved to another notification or stage it does not open. */
const boundTo = (stage: string, id: string) => `${stage} ${id}`;

async function sealItems(vault: Vault, stage: string, items: readonly Packed<Item>[]): Promise<SealedItems> {
  const keys = await vault.people(
    items.map(({ item }) => item.userId),
    'make',
  );
  const data: SealedItems = { ids: [], owners: [], sealed: [] };
  for (const { item, json } of items) {
    const key = keys.get(item.userId) as PersonKey;
    if (key.isErasing || (item.createdAt ?? Number.POSITIVE_INFINITY) <= key.erasedAt) continue;
    data.ids.push(item.id);
    data.owners.push(key.name);
    data.sealed.push(key.seal('job', boundTo(stage, item.id), json));
  }
  return data;
}

async function openItems(vault: Vault, stage: string, data: unknown): Promise<{ texts: string[]; broken: Broken[] }> {
  const { ids, owners, sealed } = (data ?? {}) as Partial<JobData>;
  const isWhole = isList(ids) && isList(owners) && isList(sealed) && ids.length > 0 && ids.length === owners.length;
  if (!isWhole || ids.length !== sealed.length) throw new CarillonError('JOB_UNREADABLE');
  const keys = await vault.holders(owners);
  const texts: string[] = [];
  const broken: Broken[] = [];
  for (const [i, id] of ids.entries()) {
    const [owner, one] = [owners[i] as string, sealed[i] as string];
    try {
      texts.push((keys.get(owner) as PersonKey).open('job', boundTo(stage, id), one));
    } catch (thrown) {
      const error = toCarillonError(thrown);
      // Nobody is told any more what was queued before they were erased.
      if (error.code !== 'PERSON_ERASED') broken.push({ id, owner, sealed: one, error });
    }
  }
  return { texts, broken };
}

function leave(data: JobData, gone: ReadonlySet<string>): JobData {
  const stays = [...data.ids.keys()].filter((i) => !gone.has(data.sealed[i] as string));
  const of = (list: readonly string[]) => stays.map((i) => list[i] as string);
  return { ...data, ids: of(data.ids), owners: of(data.owners), sealed: of(data.sealed) };
}

const isList = (value: unknown): value is string[] => Array.isArray(value) && value.every((one) => typeof one === 'string');

function parseItem(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Its message would quote the text.
    throw new CarillonError('JOB_UNREADABLE');
  }
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
