import type { Actor, AuditEvent } from './audit.js';
import { Fifo } from './fifo.js';
import type { AuditRecord, Head, TrailAction } from './record.js';

/** Ids, and users, of one record: about 40 kB of text at most with ids as Carillon makes them. */
const LIST_MAX = 1000;
/** What one batch and one entry of its lists weigh besides their text, bytes: so that the bound on memory holds for short ids as well. */
const BATCH_WEIGHT = 600;
const ENTRY_WEIGHT = 24;
const NOBODY: readonly string[] = [];

/** An event, or what the trail says of itself. */
export interface Entry extends Omit<AuditEvent, 'action'> {
  readonly action: AuditRecord['action'];
  readonly heads?: readonly Head[];
}

/** Whoever waits for a batch to be kept. */
export interface Waiter {
  kept(): void;
  lost(): void;
}

/** Events of one sort, to become one record. */
export interface Batch {
  readonly action: AuditRecord['action'];
  readonly actor: Actor;
  readonly outcome: string;
  readonly about: Entry['about'];
  readonly heads: Entry['heads'];
  readonly at: number;
  /** Of several users: `users` names who did it, once for each id or once if there are none. */
  readonly gathered: boolean;
  readonly ids: string[];
  readonly users: string[];
  /** Bytes it takes, roughly. */
  size: number;
  readonly waiters: Waiter[];
}

/** What was pushed out before it could be written. */
export interface Lost {
  records: number;
  ids: number;
  /** When the first and the last of it were, ms. */
  since: number;
  until: number;
}

/** Gathers events of one sort into one batch each, and holds what waits to be written. */
export class Gathering {
  readonly #open = new Map<string, Batch>();
  readonly #closed: Fifo<Batch>;
  readonly #told: () => void;
  #lost: Lost | undefined;
  #own = 0;

  /** At most `count` batches and `size` bytes wait; beyond, the oldest are given up, and `lost` is called. */
  constructor(bounds: { readonly count: number; readonly size: number }, lost: () => void) {
    this.#told = lost;
    this.#closed = new Fifo(bounds, (batch) => this.#lose(batch));
  }

  get length(): number {
    return this.#open.size + this.#closed.length;
  }

  /** Puts an event where it belongs; answers the batch that has the last of it. */
  add(entry: Entry): Batch {
    const { ids = NOBODY, users = NOBODY, actor } = entry;
    const gathered = actor.type === 'user' && !entry.heads && users.every((user) => user === actor.name);
    const key = this.#keyOf(entry, gathered);
    const count = Math.max(ids.length, gathered ? 0 : users.length);
    if (count <= LIST_MAX) return this.#put(key, entry, gathered, ids, users);
    let batch: Batch | undefined;
    for (let from = 0; from < count; from += LIST_MAX)
      batch = this.#put(key, entry, gathered, ids.slice(from, from + LIST_MAX), users.slice(from, from + LIST_MAX));
    return batch as Batch;
  }

  /** Closes all batches that are still filling. */
  roll(): void {
    for (const batch of this.#open.values()) this.#closed.push(batch);
    this.#open.clear();
  }

  /** The oldest of what is closed. */
  take(most: { readonly count: number; readonly size: number }): Batch[] {
    return this.#closed.take(most);
  }

  /** What was lost since the last time it was asked. */
  takeLost(): Lost | undefined {
    const lost = this.#lost;
    this.#lost = undefined;
    return lost;
  }

  #keyOf({ action, actor, outcome = 'ok', about, ids = NOBODY, heads }: Entry, gathered: boolean): string {
    if (heads) return `${++this.#own}`;
    // Several users' ids and no ids do not mix: each id has its user at the same place.
    let key = `${action} ${actor.type} ${outcome} ${gathered ? ids.length > 0 : marked(actor.name)}`;
    for (const name in about) key += marked(name) + marked((about as Record<string, string | number>)[name] as string | number);
    return key;
  }

  #put(key: string, entry: Entry, gathered: boolean, ids: readonly string[], users: readonly string[]): Batch {
    let batch = this.#open.get(key);
    const moreUsers = gathered ? Math.max(ids.length, 1) : users.length;
    if (batch && (batch.ids.length + ids.length > LIST_MAX || batch.users.length + moreUsers > LIST_MAX)) {
      this.#open.delete(key);
      this.#closed.push(batch);
      batch = undefined;
    }
    if (!batch) {
      batch = begin(entry, gathered);
      this.#open.set(key, batch);
    }
    let size = 0;
    for (const id of ids) {
      batch.ids.push(id);
      size += id.length + ENTRY_WEIGHT;
    }
    if (gathered) for (let i = 0; i < moreUsers; i++) batch.users.push(entry.actor.name);
    else
      for (const user of users) {
        batch.users.push(user);
        size += user.length + ENTRY_WEIGHT;
      }
    batch.size += gathered ? size + entry.actor.name.length + moreUsers * ENTRY_WEIGHT : size;
    return batch;
  }

  #lose(batch: Batch): void {
    const { at, ids, waiters } = batch;
    this.#lost ??= { records: 0, ids: 0, since: at, until: at };
    this.#lost.records++;
    this.#lost.ids += ids.length;
    this.#lost.until = at;
    for (const waiter of waiters) waiter.lost();
    this.#told();
  }
}

/** A text with its length before it, so that no two lists of texts look the same when put together; by hand, since JSON takes three times as long. */
function marked(value: string | number): string {
  return typeof value === 'number' ? `#${value};` : `${value.length}:${value}`;
}

function begin({ action, actor, outcome = 'ok', about, heads }: Entry, gathered: boolean): Batch {
  const size = BATCH_WEIGHT + (heads?.length ?? 0) * 200;
  return { action, actor, outcome, about, heads, at: Date.now(), gathered, ids: [], users: [], size, waiters: [] };
}

/** What the record of a batch says of who did it, to what and to whom. */
export function told({ actor, gathered, ids, users }: Batch): Pick<AuditRecord, 'actor' | 'ids' | 'users'> {
  const one = gathered && users.every((user) => user === actor.name);
  const listed = one ? [actor.name] : users;
  return {
    actor: { type: actor.type, name: gathered && !one ? '*' : actor.name },
    ...(ids.length > 0 && { ids }),
    ...(listed.length > 0 && { users: listed }),
  };
}

/** The entry in which the trail says what it lost. */
export function lossOf({ records, ids, since, until }: Lost, writer: string): Entry {
  const action: TrailAction = 'trail.lost';
  return { action, actor: { type: 'system', name: writer }, outcome: 'AUDIT_UNAVAILABLE', about: { records, ids, since, until } };
}
