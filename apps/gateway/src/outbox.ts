/** What an outbox may hold before its client counts as too slow. */
export interface OutboxLimits {
  /** Bytes that may wait, in the outbox and in the socket together, beside the largest frame among them. */
  readonly maxBytes: number;
  /** Milliseconds a byte may wait. */
  readonly maxWaitMs: number;
}

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
  #scheduled: NodeJS.Immediate | undefined;
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

  /** Takes a frame; it leaves at the end of this tick with all others. `TOO_SLOW`: not taken, too many bytes wait already. */
  push(frame: Buffer): 'TOO_SLOW' | undefined {
    const size = this.size;
    if (size > this.#limits.maxBytes + this.#room) return 'TOO_SLOW';
    this.#room = Math.max(size === 0 ? 0 : this.#room, frame.length);
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    this.#pushed += frame.length;
    this.#watch ??= { target: this.#pushed, since: performance.now() };
    if (this.#waitingBytes >= FLUSH_BYTES) this.flush();
    else this.#scheduled ??= setImmediate(() => this.flush());
    return undefined;
  }

  /** Writes what waits now. */
  flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    if (this.#waiting.length === 0) return;
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
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }
}
