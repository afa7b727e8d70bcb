import { CarillonError, type ChannelName, type ErrorCode, errorCatalogue, parse } from '@carillon/contracts';
import { loadScript, type Redis } from '@carillon/redis';
import type { Queue } from 'bullmq';
import { z } from 'zod';
import { retryFailed } from './redrive.js';

/** Where an item can fail: in the renderer, or on a channel. */
export type FailedStage = 'render' | ChannelName;

/** One notification that was given up at one stage: a dead letter. */
export interface FailedItem {
  /** The notification's id; null for a job that cannot be read. */
  readonly id: string | null;
  readonly channel: FailedStage;
  /** Why, as a code of the catalogue; `INTERNAL` where none was noted. */
  readonly code: ErrorCode;
  readonly attempts: number;
  /** ms since the epoch. */
  readonly failedAt: number;
  readonly jobId: string;
}

/** Which of what failed. */
export interface FailedFilter {
  readonly channel?: FailedStage | undefined;
  readonly code?: ErrorCode | undefined;
  /** Where to go on: what the last answer gave. */
  readonly cursor?: string | undefined;
}

/** What was given up, in all partitions and quarantines. Work per call is bounded: what is not reached is reached by the cursor of the answer. */
export interface FailedItems {
  /** Newest first. A page may hold less than `limit` and still have a cursor. @throws FIELD_INVALID `cursor`, REDIS_UNAVAILABLE */
  failed(query: FailedFilter & { readonly limit: number }): Promise<{ data: FailedItem[]; nextCursor?: string }>;
  /**
   * Tries again what fits, each exactly once however many ask at the same time, with all its tries. A job goes as a whole: with an id go those
   * that failed together with it. `retried` counts notifications. @throws FIELD_INVALID `cursor`, REDIS_UNAVAILABLE
   */
  redrive(query: FailedFilter & { readonly ids?: readonly string[] | undefined }): Promise<{ retried: number; nextCursor?: string }>;
}

/** A failed job's place in the order in which they are read: newest first, and among equals the same for ever. */
interface Place {
  readonly at: number;
  readonly queue: string;
  readonly jobId: string;
}

interface FailedJob extends Place {
  readonly view: View;
  readonly code: ErrorCode;
  readonly attempts: number;
  readonly ids: readonly (string | null)[];
}

interface View {
  readonly stage: string;
  readonly queue: Queue;
}

const readScript = loadScript(new URL('../lua/failed.lua', import.meta.url));

/** Jobs read at once from each queue. */
const CHUNK = 100;
/** Jobs one call looks at: about a second's work. */
const EXAMINED_MAX = 10_000;
/** Jobs one call tries again. */
const REDRIVEN_MAX = 1000;

/** Failed items of these queues. */
export function openFailed(redis: Redis, views: readonly View[]): FailedItems {
  return {
    failed: (query) => list(redis, views, query),
    redrive: (query) => redrive(redis, views, query),
  };
}

async function list(redis: Redis, views: readonly View[], query: FailedFilter & { limit: number }) {
  const from = query.cursor === undefined ? undefined : readCursor(query.cursor);
  const data: FailedItem[] = [];
  let examined = 0;
  for await (const job of jobs(redis, ofStage(views, query.channel), from?.place)) {
    if (examined++ === EXAMINED_MAX) return { data, nextCursor: cursorAt(job, 0) };
    if (query.code !== undefined && query.code !== job.code) continue;
    const start = from && compare(from.place, job) === 0 ? from.item : 0;
    for (let item = start; item < job.ids.length; item++) {
      if (data.length === query.limit) return { data, nextCursor: cursorAt(job, item) };
      const { code, attempts, at: failedAt, jobId } = job;
      data.push({ id: job.ids[item] as string | null, channel: job.view.stage as FailedStage, code, attempts, failedAt, jobId });
    }
  }
  return { data };
}

async function redrive(redis: Redis, views: readonly View[], query: FailedFilter & { ids?: readonly string[] | undefined }) {
  const from = query.cursor === undefined ? undefined : readCursor(query.cursor).place;
  const wanted = query.ids && new Set<string | null>(query.ids);
  let retried = 0;
  let examined = 0;
  let redriven = 0;
  for await (const job of jobs(redis, ofStage(views, query.channel), from)) {
    if (examined++ === EXAMINED_MAX || redriven === REDRIVEN_MAX) return { retried, nextCursor: cursorAt(job, 0) };
    if (query.code !== undefined && query.code !== job.code) continue;
    if (wanted && !job.ids.some((id) => wanted.has(id))) continue;
    if (!(await retryFailed(job.view.queue, job.jobId, job.at))) continue;
    redriven++;
    retried += job.ids.length;
  }
  return { retried };
}

const ofStage = (views: readonly View[], stage: string | undefined) =>
  stage === undefined ? views : views.filter((view) => view.stage === stage);

/** Failed jobs from a place on (that one included). Those that fail meanwhile are newer, and so not among them. */
async function* jobs(redis: Redis, views: readonly View[], from: Place | undefined): AsyncGenerator<FailedJob> {
  const byName = new Map(views.map((view) => [view.queue.name, view]));
  for (let start = from, inclusive = true; ; inclusive = false) {
    const isAhead = (place: Place) => !start || compare(start, place) < (inclusive ? 1 : 0);
    const parts = await Promise.all(views.map((view) => newest(redis, view.queue, start, isAhead)));
    // Behind the last one read of a queue that has more, further ones may belong in between.
    const [horizon] = parts.flatMap(({ places, more }) => (more ? [places.at(-1) as Place] : [])).sort(compare);
    const places = parts
      .flatMap((part) => part.places)
      .filter((place) => !horizon || compare(place, horizon) <= 0)
      .sort(compare);
    yield* await read(redis, byName, places);
    if (!horizon) return;
    start = horizon;
  }
}

/** The newest failed jobs of one queue that are still ahead, and whether there are more. */
async function newest(redis: Redis, queue: Queue, start: Place | undefined, isAhead: (place: Place) => boolean) {
  for (let count = CHUNK; ; count *= 2) {
    const range = [queue.toKey('failed'), start?.at ?? '+inf', '-inf', 'WITHSCORES', 'LIMIT', 0, count];
    const reply = await redis.command<string[]>('ZREVRANGEBYSCORE', ...range);
    const all = Array.from({ length: reply.length / 2 }, (_, i): Place => {
      return { at: Number(reply[2 * i + 1]), queue: queue.name, jobId: reply[2 * i] as string };
    });
    const places = all.filter(isAhead);
    const more = all.length === count;
    // More jobs than a chunk can fail in one millisecond.
    if (places.length > 0 || !more) return { places, more };
  }
}

async function read(redis: Redis, views: ReadonlyMap<string, View>, places: readonly Place[]): Promise<FailedJob[]> {
  const calls = places.map(({ queue, jobId }) => ({ keys: [(views.get(queue) as View).queue.toKey(jobId)], args: [] }));
  const outcomes = await redis.batch<[string, number, number, ...string[]] | null>(readScript, [], calls);
  return places.flatMap((place, i) => {
    const outcome = outcomes[i];
    if (!outcome?.ok) throw outcome?.error ?? new CarillonError('INTERNAL');
    if (!outcome.value) return [];
    const [failure, tries, triesBefore, ...ids] = outcome.value;
    const job = { view: views.get(place.queue) as View, code: codeOf(failure), attempts: tries + triesBefore };
    return [{ ...place, ...job, ids: ids.length > 0 ? ids : [null] }];
  });
}

/** A failure is noted as `CODE: message`. */
function codeOf(failure: string): ErrorCode {
  const code = failure.slice(0, Math.max(0, failure.indexOf(':')));
  return Object.hasOwn(errorCatalogue, code) ? (code as ErrorCode) : 'INTERNAL';
}

const order = (a: string, b: string) => (a === b ? 0 : a < b ? -1 : 1);
/** Equal scores stand in the reverse order of their members, as Redis gives them. */
const compare = (a: Place, b: Place) => b.at - a.at || order(a.queue, b.queue) || order(b.jobId, a.jobId);

const cursorSchema = z.tuple([z.number(), z.string(), z.string(), z.number().int().min(0)]);

function cursorAt({ at, queue, jobId }: Place, item: number): string {
  return Buffer.from(JSON.stringify([at, queue, jobId, item])).toString('base64url');
}

function readCursor(cursor: string): { place: Place; item: number } {
  try {
    const [at, queue, jobId, item] = parse(cursorSchema, JSON.parse(Buffer.from(cursor, 'base64url').toString()));
    return { place: { at, queue, jobId }, item };
  } catch {
    throw new CarillonError('FIELD_INVALID', { field: 'cursor', message: 'cursor: must be one that was given here' });
  }
}
