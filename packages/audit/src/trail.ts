import { randomBytes } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Audit, AuditEvent } from './audit.js';
import { Chain, type Written } from './chain.js';
import { Fifo } from './fifo.js';
import { type Entry, Gathering, lossOf, type Waiter } from './gathering.js';
import { Lane } from './lane.js';
import { type Head, isChainName } from './record.js';
import { openSink, type Sink } from './sink.js';
import { createStore, type Store } from './store.js';
import { Upkeep } from './upkeep.js';

/** How long events gather before they are written, ms. */
const GATHER_MS = 250;
/** How long who asks to have something kept waits for it, ms. */
const KEEP_MS = 5000;
/** How long closing waits for what is not written yet, ms. */
const CLOSE_MS = 5000;
/** Silence after a trouble was told, ms: once is enough for one trouble. */
const TROUBLE_MS = 60_000;
/** What is written in one go at most: bounds how long Redis is busy with it. */
const SLICE = { count: 200, size: 1024 * 1024 };

/** Bounds of an audit trail; each has a default. */
export interface AuditLimits {
  /** Batches, and bytes, that may wait in this process for each of the places they go to. 200,000 and 64 MiB. */
  readonly waiting: { readonly count: number; readonly size: number };
  /** Pause between two looks after the chains, ms. A minute. */
  readonly round: number;
  /** Records, and bytes, of a chain that Redis keeps where a sink has them all; whichever is reached first. 10,000 and 16 MiB. */
  readonly window: { readonly count: number; readonly size: number };
  /** How long Redis keeps the chain of a process that has ended where a sink has it, ms. A day. */
  readonly afterlife: number;
}

const LIMITS: AuditLimits = {
  waiting: { count: 200_000, size: 64 * 1024 * 1024 },
  round: 60_000,
  window: { count: 10_000, size: 16 * 1024 * 1024 },
  afterlife: 24 * 3600_000,
};

export interface AuditEvents {
  /** The trail cannot be written for now, or is not whole: somebody must look. Each trouble is told at once, and again each minute it lasts. */
  error?(message: string, about: { readonly writer: string; readonly error?: unknown; readonly records?: number }): void;
}

export interface AuditOptions {
  /** Prompt or patient; stays open. */
  readonly redis: Redis;
  /** `file:<folder>`, `stdout` or `redis`. */
  readonly sink: string;
  /** How long records are kept where it is Redis that keeps them, ms. */
  readonly retention: number;
  /** The role of this process; the chain is named after it. */
  readonly writer: string;
  readonly events?: AuditEvents | undefined;
  readonly limits?: Partial<AuditLimits> | undefined;
}

/** An audit trail that is kept, in a hash chain of this process' own. */
export interface AuditTrail extends Audit {
  /** Name of the chain. */
  readonly writer: string;
  /**
   * Looks after the chains now, as is done each minute: tells that this one lives and trims it; if it is this process' turn, anchors the others and
   * removes those that are over. Never throws.
   */
  round(): Promise<void>;
  /** Writes what waits, within 5 s, and ends the chain. What comes later is refused. */
  close(): Promise<void>;
}

/**
 * Opens the audit trail of this process: a hash chain of its own, in Redis and in the sink. Kept means: on disk for `file:`, handed to the output for
 * `stdout`, in Redis for `redis`. Where there is a sink, Redis has a copy of the latest, for reading, and may be away: records wait, within bounds.
 * Beyond the bounds the oldest are given up, which is told, and is a record itself. `keep` throws AUDIT_UNAVAILABLE at once while the place does not take
 * records, and after 5 s without an answer; then the record may still come to be written. Close it after all who write into it.
 *
 * @throws CONFIGURATION_INVALID if the sink cannot be written to, REDIS_UNAVAILABLE, AUDIT_UNAVAILABLE if the first record cannot be kept
 */
export async function openAudit(options: AuditOptions): Promise<AuditTrail> {
  const { redis, sink, retention, events = {}, limits } = options;
  if (!isChainName(options.writer) || options.writer.length > 48)
    throw new CarillonError('CONFIGURATION_INVALID', { message: 'no name for a chain' });
  const writer = `${options.writer}-${randomBytes(8).toString('hex')}`;
  const store = createStore(redis);
  const before = await store.registered();
  const bounds = { ...LIMITS, ...limits };
  const trail = new Trail(writer, store, await openSink(sink, writer), retention, events, bounds);
  try {
    await trail.begin(before.map(({ head }) => head));
  } catch (error) {
    await within(CLOSE_MS, trail.abandon());
    throw error;
  }
  return trail;
}

class Trail implements AuditTrail {
  readonly writer: string;
  readonly #store: Store;
  readonly #sink: Sink | undefined;
  readonly #events: AuditEvents;
  readonly #chain: Chain;
  readonly #gathering: Gathering;
  /** Records on their way to where they are kept. */
  readonly #main: Lane<Written>;
  /** Records that are in the sink, and not in Redis yet. */
  readonly #copies: Fifo<Written>;
  readonly #copying: Lane<Written>;
  readonly #upkeep: Upkeep;
  readonly #waiters = new Set<Waiter>();
  readonly #told = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  /** Somebody waits: what is gathered leaves as soon as what is under way is there. */
  #isUrgent = false;
  /** The last that was pushed out of the copies. */
  #skipped: Head | undefined;
  #closing: Promise<void> | undefined;

  constructor(writer: string, store: Store, sink: Sink | undefined, retention: number, events: AuditEvents, limits: AuditLimits) {
    this.writer = writer;
    this.#store = store;
    this.#sink = sink;
    this.#events = events;
    this.#chain = new Chain(writer);
    this.#gathering = new Gathering(limits.waiting, () => this.#trouble('the audit trail loses records: they can be written nowhere', {}));
    this.#upkeep = new Upkeep({
      store,
      writer,
      limits,
      retention: sink ? undefined : retention,
      sink: sink?.name ?? 'redis',
      copied: () => this.#copying.idle(),
      keep: (entry) => this.#keep(entry),
      failed: (error) => this.#trouble('the chains of the audit trail cannot be looked after', { error }),
    });
    this.#copies = new Fifo(limits.waiting, ({ head }) => {
      this.#skipped = head;
      this.#trouble('records of the audit trail are in the sink and will not be in Redis, which was away too long', {});
    });
    this.#main = new Lane({
      next: () => this.#next(),
      write: (slice) => (sink ? sink.write(slice.map(({ text }) => text)) : store.append(writer, slice)),
      written: (slice) => this.#written(slice),
      failed: (error) => this.#failed(error),
    });
    this.#copying = new Lane({
      next: () => this.#copies.take(SLICE),
      write: (slice) => store.append(writer, slice),
      written: (slice) => this.#copied(slice),
      failed: (error) => this.#trouble('the copy of the audit trail in Redis cannot be written', { error }),
    });
  }

  async begin(heads: readonly Head[]): Promise<void> {
    const about = { sink: this.#sink?.name ?? 'redis' };
    await this.#keep({ action: 'trail.opened', actor: { type: 'system', name: this.writer }, heads, about });
    this.#upkeep.start();
  }

  /** Gives up what could not be begun. */
  async abandon(): Promise<void> {
    this.#closing = Promise.resolve();
    await this.#stop();
  }

  note(event: AuditEvent): void {
    if (this.#closing) this.#trouble('the audit trail was told of something after it was closed', {});
    else this.#add(event);
  }

  async keep(event: AuditEvent): Promise<void> {
    if (this.#closing) throw new CarillonError('AUDIT_UNAVAILABLE');
    await this.#keep(event);
  }

  round(): Promise<void> {
    return this.#upkeep.round();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #add(entry: Entry) {
    this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
    return this.#gathering.add(entry);
  }

  /** Closes what is gathered, and has it written. */
  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#gathering.roll();
    this.#main.run();
  }

  async #keep(entry: Entry): Promise<void> {
    if (this.#main.failing || (!this.#sink && !this.#store.isReady())) throw new CarillonError('AUDIT_UNAVAILABLE');
    let timer: NodeJS.Timeout | undefined;
    let waiter: Waiter | undefined;
    try {
      await new Promise<void>((kept, reject) => {
        const lost = () => reject(new CarillonError('AUDIT_UNAVAILABLE'));
        waiter = { kept, lost };
        this.#waiters.add(waiter);
        timer = setTimeout(lost, KEEP_MS);
        this.#add(entry).waiters.push(waiter);
        if (this.#main.running) this.#isUrgent = true;
        else this.#flush();
      });
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(waiter as Waiter);
    }
  }

  #next(): Written[] {
    if (this.#isUrgent) this.#gathering.roll();
    this.#isUrgent = false;
    const batches = this.#gathering.take(SLICE);
    // Not before something can be written again, or the record of a loss would be lost as well.
    const lost = this.#main.failing ? undefined : this.#gathering.takeLost();
    if (lost) this.#add(lossOf(lost, this.writer));
    return batches.map((batch) => this.#chain.add(batch));
  }

  #written(slice: readonly Written[]): void {
    for (const { waiters } of slice) for (const waiter of waiters) waiter.kept();
    if (this.#sink) {
      for (const record of slice) this.#copies.push(record);
      this.#copying.run();
    } else this.#upkeep.grown(slice);
  }

  #copied(slice: readonly Written[]): void {
    this.#upkeep.grown(slice);
    if (!this.#skipped) return;
    // What is not in Redis is named by a record that is.
    this.#add(this.#upkeep.mark(this.#skipped));
    this.#skipped = undefined;
  }

  #failed(error: unknown): void {
    for (const waiter of this.#waiters) waiter.lost();
    this.#trouble('the audit trail cannot be written', { error });
  }

  async #close(): Promise<void> {
    this.#upkeep.stop();
    this.#add({ action: 'trail.closed', actor: { type: 'system', name: this.writer } });
    if (!(await within(CLOSE_MS, this.#drain()))) this.#trouble('the audit trail was closed before all of it was written', {});
    await this.#stop();
  }

  async #stop(): Promise<void> {
    this.#upkeep.stop();
    clearTimeout(this.#timer);
    this.#main.stop();
    this.#copying.stop();
    await this.#sink?.close();
  }

  async #drain(): Promise<void> {
    while (this.#gathering.length > 0 || this.#main.running || this.#copies.length > 0 || this.#copying.running) {
      this.#flush();
      await this.#main.idle();
      await this.#copying.idle();
    }
    await this.#upkeep.ended();
  }

  #trouble(message: string, about: { error?: unknown }): void {
    const now = Date.now();
    if (now - (this.#told.get(message) ?? 0) < TROUBLE_MS) return;
    this.#told.set(message, now);
    this.#events.error?.(message, { writer: this.writer, records: this.#gathering.length + this.#copies.length, ...about });
  }
}

/** Whether it came to its end in that time, ms. */
async function within(ms: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const done = work.then(
    () => true,
    () => false,
  );
  return Promise.race([done, over]).finally(() => clearTimeout(timer));
}
