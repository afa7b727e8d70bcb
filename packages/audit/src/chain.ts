import { type Batch, told, type Waiter } from './gathering.js';
import { BEGINNING, type Sealed, seal } from './record.js';

/** A record with those who wait for it. */
export interface Written extends Sealed {
  /** Its place in the stream: `<time>-<seq>`. */
  readonly id: string;
  /** Bytes it takes in memory, roughly. */
  readonly size: number;
  readonly waiters: readonly Waiter[];
}

/** What a record takes besides its text, bytes. */
const RECORD_WEIGHT = 400;

/** One process' chain: each batch becomes the next record. */
export class Chain {
  readonly #writer: string;
  #seq = 0;
  #time = 0;
  #prev = BEGINNING;

  constructor(writer: string) {
    this.#writer = writer;
  }

  add(batch: Batch): Written {
    const { actor, ids, users } = told(batch);
    const { action, outcome, about, heads, waiters } = batch;
    // A clock may be set back; the ids of a stream may not.
    this.#time = Math.max(this.#time, batch.at);
    const sealed = seal({
      v: 1,
      writer: this.#writer,
      seq: ++this.#seq,
      at: batch.at,
      actor,
      action,
      ...(ids && { ids }),
      ...(users && { users }),
      outcome,
      ...(about && { about }),
      ...(heads && heads.length > 0 && { heads }),
      prev: this.#prev,
    });
    this.#prev = sealed.head.hash;
    return { ...sealed, id: `${this.#time}-${sealed.head.seq}`, size: sealed.text.length + RECORD_WEIGHT, waiters };
  }
}
