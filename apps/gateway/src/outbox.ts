/** What an outbox may hold before its client counts as too slow. */
export interface OutboxLimits {
  /** Bytes that may wait, in the outbox and in the socket together, beside the largest frame among them. */
  readonly maxBytes: number;
  /** Milliseconds a byte may wait. */
  readonly maxWaitMs: number;
}

/** Bytes worth a write of their own: a burst within one tick must not count as slowness before the socket was even tried. */
const FLUSH_BYTES = 64 * 1024;

/** How often a connection may be written to. Times are those of `performance.now()`. */
export interface Pace {
  /** Milliseconds between two writes of changes to one connection. */
  gatherMs(now: number): number;
  /** Some connection was written to. */
  wrote(now: number): void;
}

/** Milliseconds over which writes are counted, and between two writes to one connection in a flood. */
const GATHER_MS = 25;
/** Writes of a gateway in that time that make a flood: 4,000 a second, a fifth of what fills a core. */
const FLOOD_WRITES = 100;

/**
 * The pace of a gateway: none at all, until so many connections are written to that writing costs more than all else about a frame; then
 * each connection's changes leave a few at a time.
 */
export function createPace(): Pace {
  let since = 0;
  let writes = 0;
  let flood = false;
  return {
    gatherMs: (now) => (flood && now - since < 2 * GATHER_MS ? GATHER_MS : 0),
    wrote(now) {
      if (now - since >= GATHER_MS) {
        flood = writes >= FLOOD_WRITES && now - since < 2 * GATHER_MS;
        since = now;
        writes = 0;
      }
      writes++;
    },
  };
}

/** Where frames leave by. */
export interface Exit {
  /** Takes all frames of a tick at once. */
  write(frames: readonly Buffer[]): void;
  /** Bytes of what was written that have not left yet. */
  readonly buffered: number;
}

/** The outgoing frames of one connection. It knows nothing of sockets. Where a limit is passed it says so and leaves it to its owner to act. */
export class Outbox {
  readonly #exit: Exit;
  readonly #limits: OutboxLimits;
  readonly #pace: Pace;
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

  constructor(exit: Exit, limits: OutboxLimits, pace: Pace) {
    this.#pace = pace;
    this.#exit = exit;
    this.#limits = limits;
  }

  /** Bytes that have not left the process. */
  get size(): number {
    return this.#waitingBytes + this.#exit.buffered;
  }

  /**
   * Takes a frame. It leaves with all that wait: at the end of this tick, or as late as the pace allows unless it is an `answer`.
   * `TOO_SLOW`: not taken, too many bytes wait already.
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
    else {
      const wait = answer ? 0 : this.#pace.gatherMs(now) - (now - this.#lastFlush);
      if (wait <= 0) this.#soon ??= setImmediate(() => this.flush());
      else this.#later ??= setTimeout(() => this.flush(), wait);
    }
    return undefined;
  }

  /** Writes what waits now. */
  flush(): void {
    this.#unschedule();
    if (this.#waiting.length === 0) return;
    this.#lastFlush = performance.now();
    this.#pace.wrote(this.#lastFlush);
    const frames = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#exit.write(frames);
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
