/** What waits, first in first out, bounded: what goes beyond the bounds pushes out the oldest. */
export class Fifo<T extends { readonly size: number }> {
  readonly #bounds: { readonly count: number; readonly size: number };
  readonly #dropped: (oldest: T) => void;
  #items: (T | undefined)[] = [];
  #first = 0;
  #size = 0;

  /** `size` is in the unit of the items' own. */
  constructor(bounds: { readonly count: number; readonly size: number }, dropped: (oldest: T) => void) {
    this.#bounds = bounds;
    this.#dropped = dropped;
  }

  get length(): number {
    return this.#items.length - this.#first;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#size += item.size;
    while (this.length > 1 && (this.length > this.#bounds.count || this.#size > this.#bounds.size)) this.#dropped(this.#shift());
  }

  /** Takes the oldest, up to so many and so much, but at least one if there is one. */
  take(most: { readonly count: number; readonly size: number }): T[] {
    const taken: T[] = [];
    let size = 0;
    while (this.length > 0 && taken.length < most.count) {
      size += (this.#items[this.#first] as T).size;
      if (taken.length > 0 && size > most.size) break;
      taken.push(this.#shift());
    }
    return taken;
  }

  #shift(): T {
    const item = this.#items[this.#first] as T;
    this.#items[this.#first++] = undefined;
    this.#size -= item.size;
    // Moved together now and then: shifting an array of 100,000 each time would cost more than what waits in it.
    if (this.#first > 1000 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}
