import { type AuditRecord, BEGINNING, type Head, unseal } from './record.js';

/**
 * `altered`: the record is not as it was written, or not the one that its successor or an anchor names; `missing`: there are later ones;
 * `order`: it is not at its place, or there twice; `cut`: it is known from an anchor, and the chain ends before it; `removed`: of the whole chain that an
 * anchor names nothing is there.
 */
export interface Fault {
  readonly writer: string;
  readonly seq: number;
  readonly what: 'altered' | 'missing' | 'order' | 'cut' | 'removed';
}

/** What is claimed of chains by anchors: per chain, hashes by position, and the latest time. */
export class Claims {
  readonly #chains = new Map<string, { readonly hashes: Map<number, string>; at: number }>();
  /** Chains that ended before it may be gone, ms since 1970. */
  horizon = 0;
  /** Chains of which two anchors say different things. */
  readonly disputed: Fault[] = [];

  add({ writer, seq, at, hash }: Head): void {
    const chain = this.#chains.get(writer) ?? { hashes: new Map<number, string>(), at: 0 };
    this.#chains.set(writer, chain);
    if ((chain.hashes.get(seq) ?? hash) !== hash) this.disputed.push({ writer, seq, what: 'altered' });
    chain.hashes.set(seq, hash);
    chain.at = Math.max(chain.at, at);
  }

  [Symbol.iterator]() {
    return this.#chains[Symbol.iterator]();
  }
}

/** Positions that are not there although later ones are, and the `prev` of what follows. */
interface Hole {
  readonly from: number;
  readonly to: number;
  readonly prev: string;
}

/** One chain, taken record by record in the order in which it is kept. */
export class Check {
  readonly #writer: string;
  readonly #isWhole: boolean;
  #expected = 1;
  #prev = BEGINNING;
  /** A record that does not name the one before it: that one is at fault if the next one names this one, else this one. */
  #doubted: AuditRecord | undefined;
  /** The first record cannot be read, and may have any position: the chain may be trimmed. */
  #isFirstUnread = false;
  readonly #holes: Hole[] = [];
  /** Up to where the chain says that it was trimmed. */
  #trimmed: Head | undefined;
  #fault: Omit<Fault, 'writer'> | undefined;
  count = 0;

  /** Nothing excuses what is missing in a chain that is whole. */
  constructor(writer: string, isWhole: boolean) {
    this.#writer = writer;
    this.#isWhole = isWhole;
  }

  take(text: string, claims: Claims): void {
    this.count++;
    const record = unseal(text);
    if (record === undefined || record.writer !== this.#writer) this.#spoil();
    else {
      // Behind a fault, only what seemed to be missing is of interest: it may come after all.
      if (!this.#fault) this.#link(record);
      else if (this.#holeOf(record.seq)) this.#late(record.seq);
      this.#hear(record, claims);
    }
  }

  /** The chain has no more records: answers its first fault. */
  end(): Fault | undefined {
    if (this.#doubted || this.#isFirstUnread) this.#found('altered', (this.#doubted?.seq ?? 2) - 1);
    const missing = this.#holes.find((hole) => !this.#isExcused(hole));
    if (missing && !(this.#fault && this.#fault.seq <= missing.from)) {
      const trimmed = this.#isWhole ? 0 : (this.#trimmed?.seq ?? 0);
      const seq = missing.to > trimmed ? Math.max(missing.from, trimmed + 1) : missing.to;
      this.#fault = { what: 'missing', seq };
    }
    return this.#fault && { writer: this.#writer, ...this.#fault };
  }

  #spoil(): void {
    if (this.#doubted) this.#found('altered', this.#doubted.seq - 1);
    else if (this.count === 1 && !this.#isWhole) this.#isFirstUnread = true;
    else this.#found('altered', this.#expected);
  }

  #link(record: AuditRecord): void {
    const { seq, prev, hash } = record;
    const isLinked = seq !== this.#expected || prev === this.#prev;
    if (this.#isFirstUnread) this.#found('altered', Math.max(1, seq - 1));
    else if (this.#doubted) this.#found('altered', prev === this.#doubted.hash ? this.#doubted.seq - 1 : this.#doubted.seq);
    else if (seq < this.#expected) this.#late(seq);
    else if (seq === 1 && !isLinked) this.#found('altered', 1);
    else {
      if (seq > this.#expected) this.#holes.push({ from: this.#expected, to: seq - 1, prev });
      if (!isLinked) this.#doubted = record;
      this.#expected = seq + 1;
      this.#prev = hash;
    }
  }

  /** A record comes that should have come before, or has. */
  #late(seq: number): void {
    this.#fault = { what: 'order', seq: this.#holeOf(seq)?.from ?? seq };
  }

  #holeOf(seq: number): Hole | undefined {
    return this.#holes.find(({ from, to }) => from <= seq && seq <= to);
  }

  #isExcused({ to, prev }: Hole): boolean {
    if (this.#isWhole || !this.#trimmed) return false;
    const { seq, hash } = this.#trimmed;
    return to < seq || (to === seq && prev === hash);
  }

  #hear({ action, heads = [], about }: AuditRecord, claims: Claims): void {
    const horizon = about?.horizon;
    if (action === 'trail.trimmed') {
      const [head] = heads;
      if (head && head.seq >= (this.#trimmed?.seq ?? 0)) this.#trimmed = head;
    } else if (!this.#fault && !this.#doubted) for (const head of heads) claims.add(head);
    if (typeof horizon === 'number') claims.horizon = Math.max(claims.horizon, horizon);
  }

  #found(what: Fault['what'], seq: number): void {
    this.#fault ??= { what, seq };
  }
}
