import { setTimeout as sleep } from 'node:timers/promises';

/** Pauses between tries to write, ms: soon at first, for most troubles are short. */
const PAUSE_MS = 50;
const PAUSE_MAX_MS = 1000;

export interface LaneParts<T> {
  /** The next to be written; none if there is nothing to do. */
  readonly next: () => readonly T[];
  /** May be asked again for the same, in which case what is there already must not be there twice. */
  readonly write: (slice: readonly T[]) => Promise<unknown>;
  readonly written: (slice: readonly T[]) => void;
  readonly failed: (error: unknown) => void;
}

/** Takes what waits to one place, slice by slice and in order, each until it is there. While one is under way, the others gather. */
export class Lane<T> {
  readonly #parts: LaneParts<T>;
  #running = false;
  #stopped = false;
  #failing = false;
  #whenIdle: (() => void)[] = [];

  constructor(parts: LaneParts<T>) {
    this.#parts = parts;
  }

  /** Whether the last try failed. */
  get failing(): boolean {
    return this.#failing;
  }

  get running(): boolean {
    return this.#running;
  }

  /** Sets to work, if it is not at it. */
  run(): void {
    if (!this.#running && !this.#stopped) void this.#work();
  }

  /** Resolves when all is written that there is. */
  idle(): Promise<void> {
    this.run();
    return this.#running ? new Promise((resolve) => this.#whenIdle.push(resolve)) : Promise.resolve();
  }

  /** Gives up what is not written. */
  stop(): void {
    this.#stopped = true;
  }

  async #work(): Promise<void> {
    const { next, written } = this.#parts;
    this.#running = true;
    for (let slice = next(); slice.length > 0 && !this.#stopped; slice = next()) {
      if (await this.#bring(slice)) written(slice);
    }
    this.#running = false;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  async #bring(slice: readonly T[]): Promise<boolean> {
    for (let pause = PAUSE_MS; !this.#stopped; pause = Math.min(pause * 2, PAUSE_MAX_MS)) {
      try {
        await this.#parts.write(slice);
        this.#failing = false;
        return true;
      } catch (error) {
        this.#failing = true;
        this.#parts.failed(error);
        await sleep(pause);
      }
    }
    return false;
  }
}
