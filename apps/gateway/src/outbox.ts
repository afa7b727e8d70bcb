/** What an outbox may hold before its client counts as too slow. */
export interface OutboxLimits {
  /** Bytes that may wait, in the outbox and in the socket together, beside the largest frame among them. */
  readonly maxBytes: number;
  /** Milliseconds a byte may wait. */
  readonly maxWaitMs: number;
}

/**
 * Milliseconds between two writes of changes to one connection. The first after a pause leaves at the end of its tick; in a flood a write
 * costs more than all else about a frame, and this gathers a few into one.
 */
const GATHER_MS = 25;
/** Bytes worth a write of their own: a burst within one tick must not count as slowness before the socket was even tried. */
const FLUSH_BYTES = 64 * 1024;

/**
 * The outgoing frames of one connection. It knows nothing of sockets: `write` takes all frames of a tick at once, `buffered` says how many
 * bytes of what was written have not left yet. Where a limit is passed it says so and leaves it to its owner to act.
 */
export class Outbox {
  readonly #write: (frames: readonly Buffer[]) => void;
  readonly #buffered: () => number;
  readonly #limits: OutboxLimits;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #soon: NodeJS.Immediate | undefined;
  #later: NodeJS.Timeout | undefined;
  #lastFlush = Number.NEGATIVE_INFINITY;
  /** Bytes of the largest frame since the outbox was last empty: it alone must not make a fast client look slow. */
  #room = 0;
  /** Bytes ever pushed. */
  #pushed = 0;
  /** When the byte number `target` was the newest: it must have left within `maxWaitMs` of `since`. */
  #watch: { target: number; since: number } | undefined;

  constructor(write: (frames: readonly Buffer[]) => void, buffered: () => number, limits: OutboxLimits) {
    this.#write = write;
    this.#buffered = buffered;
    this.#limits = limits;
  }

  /** Bytes that have not left the process. */
  get size(): number {
    return this.#waitingBytes + this.#buffered();
  }

  /**
   * Takes a frame. It leaves with all that wait: at the end of this tick if it is an `answer` or the first in a while, else within
   * GATHER_MS. `TOO_SLOW`: not taken, too many bytes wait already.
   */
  push(frame: Buffer, answer: boolean): 'TOO_SLOW' | undefined {
    const size = this.size;
    if (size > this.#limits.maxBytes + this.#room) return 'TOO_SLOW';
    this.#room = Math.max(size === 0 ? 0 : this.#room, frame.length);
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    this.#pushed += frame.length;
    const now = performance.now();
    this.#watch ??= { target: this.#pushed, since: now };
    if (this.#waitingBytes >= FLUSH_BYTES) this.flush();
    else if (answer || now - this.#lastFlush >= GATHER_MS) this.#soon ??= setImmediate(() => this.flush());
    else this.#later ??= setTimeout(() => this.flush(), GATHER_MS - (now - this.#lastFlush));
    return undefined;
  }

  /** Writes what waits now. */
  flush(): void {
    this.#unschedule();
    if (this.#waiting.length === 0) return;
    this.#lastFlush = performance.now();
    const frames = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#write(frames);
  }

  /** Whether all has left, something is on its way, or a byte has waited too long. */
  check(): 'empty' | 'waiting' | 'TOO_SLOW' {
    const size = this.size;
    if (size === 0) {
      this.#watch = undefined;
      return 'empty';
    }
    const now = performance.now();
    if (!this.#watch || this.#pushed - size >= this.#watch.target) this.#watch = { target: this.#pushed, since: now };
    return now - this.#watch.since >= this.#limits.maxWaitMs ? 'TOO_SLOW' : 'waiting';
  }

  /** Forgets what waits. */
  discard(): void {
    this.#unschedule();
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #unschedule(): void {
    clearImmediate(this.#soon);
    clearTimeout(this.#later);
    this.#soon = undefined;
    this.#later = undefined;
  }
}
