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
  /** Where this chain is kept, as heads name it. */
  readonly sink: string;
  readonly keep: (entry: Entry) => Promise<void>;
  /** Resolves when Redis has what the sink has. */
  readonly copied: () => Promise<void>;
  readonly failed: (error: unknown) => void;
}

/** A place at which the chain may be cut: its head there, and how much there was up to it. */
interface Place {
  readonly head: Head;
  /** The first id behind it. */
  readonly behind: string;
  readonly count: number;
  readonly size: number;
}

/** Looks after the chains in Redis: registers this one, anchors the others, and trims what need not be there any more. */
export class Upkeep {
  readonly #parts: UpkeepParts;
  /** The last of the others' heads that this process has named. */
  readonly #named = new Map<string, number>();
  #head: Head | undefined;
  #behind = '0';
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
    for (const { head, id, size } of slice) {
      this.#head = { ...head, keep: this.#keeps, sink: this.#parts.sink };
      this.#behind = `${id.slice(0, id.indexOf('-'))}-${head.seq + 1}`;
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
    return { action: 'trail.trimmed', actor: this.#actor, heads: [head] };
  }

  get #actor() {
    return { type: 'system', name: this.#parts.writer } as const;
  }

  /** How long this chain is kept when it has ended, ms. */
  get #keeps(): number {
    return this.#parts.retention ?? this.#parts.limits.afterlife;
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
    const { store, writer, limits } = this.#parts;
    const now = Date.now();
    const registered = await store.registered();
    const others = registered.filter(({ head }) => head.writer !== writer);
    const news = others.filter(({ head }) => this.#named.get(head.writer) !== head.seq).map(({ head }) => head);
    await this.#tell('trail.anchored', news);
    for (const head of news) this.#named.set(head.writer, head.seq);
    const isOver = ({ seen, ended }: Registered) => ended || seen < now - SILENT_ROUNDS * limits.round;
    for (const { head } of others.filter(isOver)) {
      await store.retire(head);
      this.#named.delete(head.writer);
    }
    await this.#removeExpired(now, registered);
    await store.turned(now);
  }

  async #tell(action: 'trail.anchored' | 'trail.removed', heads: readonly Head[]): Promise<void> {
    for (let from = 0; from < heads.length; from += HEADS_MAX)
      await this.#parts.keep({ action, actor: this.#actor, heads: heads.slice(from, from + HEADS_MAX) });
  }

  /** Removes the chains whose time is over, each by what its own writer said. */
  async #removeExpired(now: number, growing: readonly Registered[]): Promise<void> {
    const { store, copied } = this.#parts;
    const expired = await store.expired(now);
    if (expired.length === 0) return;
    // One that was silent and is back is not over, or has ended again since.
    const alive = new Set([...growing.map(({ head }) => head), ...(await store.ended(now))].map(({ writer }) => writer));
    const over = new Set(expired.map(({ writer }) => writer).filter((name) => !alive.has(name)));
    const heads = await this.#lastOf(over);
    await this.#tell('trail.removed', heads);
    // The record that says so must be there before they are gone.
    await copied();
    for (const name of over) await store.remove(name);
    await store.forget(expired.filter(({ writer }) => over.has(writer) || alive.has(writer)));
  }

  /** The heads of chains that are over, as far as they are there; one that cannot be read stays, and is taken out of `over`. */
  async #lastOf(over: Set<string>): Promise<Head[]> {
    const heads: Head[] = [];
    for (const writer of over) {
      try {
        const last = await this.#parts.store.last(writer);
        if (last) heads.push({ writer, seq: last.record.seq, at: last.record.at, hash: last.record.hash });
      } catch (error) {
        over.delete(writer);
        this.#parts.failed(error);
      }
    }
    return heads;
  }

  /** Where the chain could be cut: not at each record, or remembering them would cost more than they do. */
  #remember(): void {
    const { window } = this.#parts.limits;
    if (this.#parts.retention !== undefined || !this.#head) return;
    const last = this.#places.at(-1) ?? this.#cut;
    const isFar = this.#total.count - last.count >= window.count * (SLACK / 2) || this.#total.size - last.size >= window.size * (SLACK / 2);
    if (isFar) this.#places.push({ head: this.#head, behind: this.#behind, ...this.#total });
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
    await this.#trim(place.head, place.behind);
    this.#cut = place;
    this.#places = this.#places.filter(({ count }) => count > place.count);
  }

  /** Where Redis is what keeps them: leaves those of the time they are kept. */
  async #trimAge(retention: number): Promise<void> {
    const { store, writer } = this.#parts;
    const cut = Date.now() - retention;
    const oldest = await store.first(writer);
    if (!oldest || !this.#head || oldest.record.at > cut - retention * SLACK) return;
    const [head, behind] = [this.#head, this.#behind];
    const next = await store.first(writer, cut);
    if (!next) return this.#trim(head, behind);
    if (next.id === oldest.id) return;
    const { seq, at, prev } = next.record;
    await this.#trim({ writer, seq: seq - 1, at, hash: prev }, next.id);
  }

  async #trim({ writer, seq, at, hash }: Head, behind: string): Promise<void> {
    await this.#parts.keep(this.mark({ writer, seq, at, hash }));
    await this.#parts.copied();
    await this.#parts.store.trimTo(writer, behind);
  }
}
