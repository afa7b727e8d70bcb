/** Slots of the wheel: with ticks of 250 ms one turn is 64 s, so most deadlines of a connection are met in their first turn. */
const SLOTS = 256;

/** Something that is to be done at a time. */
export interface Deadline {
  /** Lets it not be done. */
  cancel(): void;
}

/** A deadline on a wheel. A class and not a closure: a connection has three. */
class Entry implements Deadline {
  readonly dueTick: number;
  readonly run: () => void;
  readonly #slot: Set<Entry>;
  readonly #gone: () => void;

  constructor(dueTick: number, run: () => void, slot: Set<Entry>, gone: () => void) {
    this.dueTick = dueTick;
    this.run = run;
    this.#slot = slot;
    this.#gone = gone;
    slot.add(this);
  }

  cancel(): void {
    if (this.#slot.delete(this)) this.#gone();
  }
}

/** One timer for all deadlines of a process: with 100,000 connections a timer each would cost more than their messages. */
export interface Wheel {
  /** Runs `run` once, up to one tick later than `ms` from now, never earlier nor in this call. `run` must not throw. */
  after(ms: number, run: () => void): Deadline;
  /** Forgets all deadlines. */
  close(): void;
}

/**
 * Makes a timing wheel that looks at its deadlines every `tickMs`. It does not keep the process alive, and stands still while it is empty.
 */
export function createWheel(tickMs: number): Wheel {
  const slots = Array.from({ length: SLOTS }, () => new Set<Entry>());
  const slotOf = (tick: number) => slots[tick % SLOTS] as Set<Entry>;
  const start = performance.now();
  const tickNow = () => Math.floor((performance.now() - start) / tickMs);
  let entries = 0;
  let turned = 0;
  let timer: NodeJS.Timeout | undefined;

  const gone = () => {
    entries--;
  };
  const rest = () => {
    clearInterval(timer);
    timer = undefined;
  };
  const turn = () => {
    const now = tickNow();
    // After a long pause every slot is looked at once, whatever the number of ticks missed.
    for (let tick = Math.max(turned + 1, now - SLOTS + 1); tick <= now; tick++) {
      const slot = slotOf(tick);
      for (const entry of slot) {
        if (entry.dueTick > now) continue;
        entry.cancel();
        entry.run();
      }
    }
    turned = now;
    if (entries === 0) rest();
  };

  return {
    after: (ms, run) => {
      if (!timer) {
        turned = tickNow();
        timer = setInterval(turn, tickMs).unref();
      }
      const dueTick = Math.floor((performance.now() - start + Math.max(0, ms)) / tickMs) + 1;
      entries++;
      return new Entry(dueTick, run, slotOf(dueTick), gone);
    },
    close: () => {
      for (const slot of slots) slot.clear();
      entries = 0;
      rest();
    },
  };
}
