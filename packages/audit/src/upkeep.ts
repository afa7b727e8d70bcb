import type { Written } from './chain.js';
import type { Entry } from './gathering.js';
import type { Head } from './record.js';
import type { Registered, Store } from './store.js';

/** Rounds of silence after which a process counts as gone. */
const SILENT_ROUNDS = 10;
/** Heads one anchor names at most: 200 kB of text. */
const HEADS_MAX = 1000;
/** A part of what is kept that may be too much: trimming costs a record each time. */
const SLACK = 0.1;
/** A round's turn ends a little before the next round, so that it is not missed by a hair. */
const TURN = 0.9;

export interface UpkeepParts {
  readonly store: Store;
  readonly writer: string;
  readonly limits: {
    readonly round: number;
    readonly window: { readonly count: number; readonly size: number };
    readonly afterlife: number;
  };
  /** How long Redis keeps records, ms; undefined if a sink has them. */
  readonly retention: number | undefined;
  readonly keep: (entry: Entry) => Promise<void>;
  /** Resolves when Redis has what the sink has. */
  readonly copied: () => Promise<void>;
  readonly failed: (error: unknown) => void;
}

/** A place at which the chain may be cut: its head there, and how much there was up to it. */
interface Place {
  readonly head: Head;
  readonly count: number;
  readonly size: number;
}

/** Looks after the chains in Redis: registers this one, anchors the others, and trims what need not be there any more. */
export class Upkeep {
  readonly #parts: UpkeepParts;
  /** The last of the others' heads that this process has named. */
  readonly #named = new Map<string, number>();
  #head: Head | undefined;
  #registering = false;
  #places: Place[] = [];
  #total = { count: 0, size: 0 };
  /** Up to where the chain was cut. */
  #cut = { count: 0, size: 0 };
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(() => void this.round(), this.#parts.limits.round).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /** Hears what Redis has got. */
  grown(slice: readonly Written[]): void {
    for (const { head, size } of slice) {
      this.#head = head;
      this.#total = { count: this.#total.count + 1, size: this.#total.size + size };
    }
    this.#remember();
    if (!this.#registering) void this.#register();
  }

  /** Looks after the chains now. Never throws. */
  round(): Promise<void> {
    this.#round ??= this.#look().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  /** Tells that this chain has ended. */
  async ended(): Promise<void> {
    if (this.#head) await this.#parts.store.register({ head: this.#head, seen: Date.now(), ended: true });
  }

  /** The entry that stands for what is cut off, up to and with `head`. */
  mark(head: Head): Entry {
    return { action: 'trail.trimmed', actor: this.#actor, heads: [head], about: { horizon: this.#horizon() } };
  }

  get #actor() {
    return { type: 'system', name: this.#parts.writer } as const;
  }

  /** What ended before it, ms since 1970, is removed. */
  #horizon(): number {
    return Date.now() - (this.#parts.retention ?? this.#parts.limits.afterlife);
  }

  async #look(): Promise<void> {
    const { store, writer, limits, failed } = this.#parts;
    try {
      await this.#register();
      if (await store.takesTurn(writer, Math.ceil(limits.round * TURN))) await this.#takeTurn();
      await (this.#parts.retention === undefined ? this.#trimWindow() : this.#trimAge(this.#parts.retention));
    } catch (error) {
      if (!this.#stopped) failed(error);
    }
  }

  /** Registers the head as it is, again and again while it moves; a head that is passed over is not missed. */
  async #register(): Promise<void> {
    let told: Head | undefined;
    this.#registering = true;
    try {
      while (this.#head && told !== this.#head && !this.#stopped) {
        told = this.#head;
        await this.#parts.store.register({ head: told, seen: Date.now(), ended: false });
      }
    } catch {
      // The next one that is written tells it.
    } finally {
      this.#registering = false;
    }
  }

  async #takeTurn(): Promise<void> {
    const { store, writer, limits, keep } = this.#parts;
    const now = Date.now();
    const others = (await store.registered()).filter(({ head }) => head.writer !== writer);
    const news = others.filter(({ head }) => this.#named.get(head.writer) !== head.seq);
    const horizon = this.#horizon();
    const expired = await store.endedBefore(horizon);
    for (let from = 0; from < news.length || (from === 0 && expired.length > 0); from += HEADS_MAX) {
      const heads = news.slice(from, from + HEADS_MAX).map(({ head }) => head);
      await keep({ action: 'trail.anchored', actor: this.#actor, heads, about: { horizon } });
      for (const head of heads) this.#named.set(head.writer, head.seq);
    }
    const isOver = ({ seen, ended }: Registered) => ended || seen < now - SILENT_ROUNDS * limits.round;
    for (const { head } of others.filter(isOver)) {
      await store.retire(head);
      this.#named.delete(head.writer);
    }
    if (expired.length > 0) {
      // The anchor that says so must be there before they are gone.
      await this.#parts.copied();
      // One that was silent and is back is not removed.
      const growing = new Set(others.map((other) => other.head.writer));
      await store.remove(expired.filter((name) => !growing.has(name)));
    }
    await store.turned(now);
  }

  /** Where the chain could be cut: not at each record, or remembering them would cost more than they do. */
  #remember(): void {
    const { window } = this.#parts.limits;
    if (this.#parts.retention !== undefined || !this.#head) return;
    const last = this.#places.at(-1) ?? this.#cut;
    const isFar = this.#total.count - last.count >= window.count * (SLACK / 2) || this.#total.size - last.size >= window.size * (SLACK / 2);
    if (isFar) this.#places.push({ head: this.#head, ...this.#total });
  }

  /** Where a sink has all records: leaves the latest, and those since the last but one turn. */
  async #trimWindow(): Promise<void> {
    const { store, limits } = this.#parts;
    const { window } = limits;
    const before = await store.turnBefore();
    const place = this.#places.findLast(
      ({ head, count, size }) => head.at < before && (this.#total.count - count >= window.count || this.#total.size - size >= window.size),
    );
    const isWorth = place && (place.count - this.#cut.count >= window.count * SLACK || place.size - this.#cut.size >= window.size * SLACK);
    if (!isWorth) return;
    await this.#trim(place.head);
    this.#cut = place;
    this.#places = this.#places.filter(({ count }) => count > place.count);
  }

  /** Where Redis is what keeps them: leaves those of the time they are kept. */
  async #trimAge(retention: number): Promise<void> {
    const { store, writer } = this.#parts;
    const cut = Date.now() - retention;
    const oldest = await store.first(writer);
    if (!oldest || !this.#head || oldest.at > cut - retention * SLACK) return;
    const next = await store.first(writer, cut);
    await this.#trim(next ? { writer, seq: next.seq - 1, at: next.at, hash: next.prev } : this.#head);
  }

  async #trim(head: Head): Promise<void> {
    await this.#parts.keep(this.mark(head));
    await this.#parts.copied();
    await this.#parts.store.trimTo(head);
  }
}
