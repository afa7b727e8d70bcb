import { CarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import { type AuditRecord, unseal } from './record.js';
import { createStore, type Kept, type Store } from './store.js';

/** Which records are wanted; those that fit all that is told. */
export interface AuditQuery {
  readonly action?: string | undefined;
  /** Name of who did it: of a key, a user or a role. */
  readonly actor?: string | undefined;
  /** A person it concerned, or who did it. */
  readonly user?: string | undefined;
  /** Id of what it was done to. */
  readonly id?: string | undefined;
  /** Not before, ms since 1970. */
  readonly since?: number | undefined;
  /** Not after, ms since 1970. */
  readonly until?: number | undefined;
  /** Records to answer at most. */
  readonly limit: number;
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

/** Reads the records that are in Redis. */
export interface AuditReader {
  /**
   * Records of all chains, newest first. Looks at a bounded number of records: a page may have fewer than `limit`, even none, and still name a
   * `nextCursor`; without one there is no more.
   *
   * @throws FIELD_INVALID for a cursor that was not made here, REDIS_UNAVAILABLE
   */
  read(query: AuditQuery): Promise<{ data: AuditRecord[]; nextCursor?: string }>;
}

/** Records looked at per call: with 40 kB each at most, a bound on memory and on how long Redis is asked. */
const LOOKED_AT_MAX = 2000;
/** Records of one chain fetched at a time. */
const PAGE = 20;

/** A reader; the connection stays open. */
export function createAuditReader(redis: Redis): AuditReader {
  const store = createStore(redis);
  return {
    async read(query) {
      const from = query.cursor === undefined ? undefined : positionOf(query.cursor);
      const merged = new Merged(store, await chainsFor(store, query, from), query, from);
      const data: AuditRecord[] = [];
      for (let looked = 0; looked < LOOKED_AT_MAX; looked++) {
        const entry = await merged.next();
        if (entry === undefined) return { data };
        const record = fitting(entry.text, query);
        if (record) data.push(record);
        if (data.length >= query.limit) break;
      }
      return { data, nextCursor: cursorOf(merged.position as Position) };
    },
  };
}

/** A place in the order of the answer: newest first, of the same millisecond by chain, of one chain latest first. */
interface Position {
  readonly at: number;
  readonly seq: number;
  readonly writer: string;
}

function cursorOf({ at, seq, writer }: Position): string {
  return Buffer.from(`${at}-${seq}-${writer}`).toString('base64url');
}

function positionOf(cursor: string): Position {
  const [, at, seq, writer] = /^(\d{1,15})-(\d{1,15})-([\w.-]+)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (writer === undefined) throw new CarillonError('FIELD_INVALID', { field: 'cursor', message: 'cursor: was not made here' });
  return { at: Number(at), seq: Number(seq), writer };
}

/** Chains that may have what is asked, with the time of their last record where that is known. */
async function chainsFor(store: Store, { since = 0 }: AuditQuery, from: Position | undefined) {
  const [growing, ended] = await Promise.all([store.registered(), store.ended(since)]);
  const names = new Map<string, number>();
  for (const { writer, at } of ended) if (at >= since) names.set(writer, Math.max(at, names.get(writer) ?? 0));
  for (const { head } of growing) names.set(head.writer, Number.POSITIVE_INFINITY);
  return [...names].map(([writer, at]) => ({ writer, at: Math.min(at, from?.at ?? at) })).sort((a, b) => b.at - a.at);
}

/** What an XREVRANGE of a chain begins with, so that it goes on behind a position. */
function beginningOf(writer: string, { until }: AuditQuery, from: Position | undefined): string {
  if (from === undefined || (until !== undefined && until < from.at)) return until === undefined ? '+' : `${until}`;
  if (writer === from.writer) return `(${from.at}-${from.seq}`;
  return writer < from.writer ? `(${from.at}-0` : `${from.at}`;
}

interface Source {
  readonly writer: string;
  readonly entries: Kept[];
  /** Where to fetch the next page from; undefined if there is none. */
  next: string | undefined;
}

/** The chains as one, newest first. A chain is opened when its turn may have come. */
class Merged {
  readonly #store: Store;
  readonly #query: AuditQuery;
  readonly #from: Position | undefined;
  readonly #unopened: { readonly writer: string; readonly at: number }[];
  readonly #sources: Source[] = [];
  /** Of what was given last. */
  position: Position | undefined;

  constructor(store: Store, chains: { writer: string; at: number }[], query: AuditQuery, from: Position | undefined) {
    this.#store = store;
    this.#unopened = chains;
    this.#query = query;
    this.#from = from;
  }

  async next(): Promise<Kept | undefined> {
    for (;;) {
      const newest = this.#newest();
      const opened = await this.#open(newest ? timeOf(newest.entries[0] as Kept) : undefined);
      if (opened) continue;
      const entry = newest?.entries.shift();
      if (!newest || !entry || timeOf(entry) < (this.#query.since ?? 0)) return undefined;
      if (newest.entries.length === 0) await this.#fill(newest);
      this.position = { at: timeOf(entry), seq: Number(entry.id.split('-')[1]), writer: newest.writer };
      return entry;
    }
  }

  #newest(): Source | undefined {
    let newest: Source | undefined;
    for (const source of this.#sources) {
      const [entry] = source.entries;
      const [best] = newest?.entries ?? [];
      if (entry && (!best || comesFirst(timeOf(entry), source.writer, timeOf(best), (newest as Source).writer))) newest = source;
    }
    return newest;
  }

  /** Opens the chains that may have something as new as `at`, or the next one if there is nothing yet; answers whether there were any. */
  async #open(at: number | undefined): Promise<boolean> {
    const due = at === undefined ? Math.min(1, this.#unopened.length) : this.#unopened.filter((chain) => chain.at >= at).length;
    const sources = this.#unopened
      .splice(0, due)
      .map(({ writer }): Source => ({ writer, entries: [], next: beginningOf(writer, this.#query, this.#from) }));
    await Promise.all(sources.map((source) => this.#fill(source)));
    this.#sources.push(...sources);
    return due > 0;
  }

  async #fill(source: Source): Promise<void> {
    if (source.next === undefined) return;
    const page = await this.#store.newestFirst(source.writer, source.next, PAGE);
    source.entries.push(...page);
    source.next = page.length < PAGE ? undefined : `(${(page.at(-1) as Kept).id}`;
  }
}

function timeOf({ id }: Kept): number {
  return Number(id.slice(0, id.indexOf('-')));
}

function comesFirst(at: number, writer: string, otherAt: number, other: string): boolean {
  return at > otherAt || (at === otherAt && writer < other);
}

/** The record, if it is what was asked for. One that was altered is not shown; `verify` names it. */
function fitting(text: string, { action, actor, user, id }: AuditQuery): AuditRecord | undefined {
  // Cheaper than reading a record of 1,000 ids.
  for (const wanted of [action, actor, user, id]) if (wanted !== undefined && !text.includes(JSON.stringify(wanted))) return undefined;
  const record = unseal(text);
  if (record === undefined) return undefined;
  const isBy = (name: string) => record.actor.name === name || (record.actor.name === '*' && record.users?.includes(name) === true);
  const isWanted =
    (action === undefined || record.action === action) &&
    (actor === undefined || isBy(actor)) &&
    (user === undefined || record.users?.includes(user) === true || (record.actor.type === 'user' && isBy(user))) &&
    (id === undefined || record.ids?.includes(id) === true);
  return isWanted ? record : undefined;
}
