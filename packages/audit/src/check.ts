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

/** Earlier claims of a chain that are held besides the latest, which vouches for all before it: they tell more closely where a fault is. */
const EARLIER_MAX = 100;

/** What anchors claim of one chain. */
export interface Claimed {
  latest: Head;
  /** Hashes by position. */
  readonly hashes: Map<number, string>;
  /** Until when it is kept at least, ms since 1970. */
  until: number;
  /** Where it is kept, as anchors say; undefined if one does not. */
  readonly sinks: Set<string | undefined>;
}

/** What is claimed of chains by anchors. */
export class Claims {
  readonly #chains = new Map<string, Claimed>();
  /** Up to which record chains were removed, as who did it says. */
  readonly #removed = new Map<string, number>();
  /** The latest time of a record, ms since 1970. */
  #now = 0;
  /** The sinks that are there; what is not said to be elsewhere must be there. */
  readonly #here: Set<unknown>;
  /** Chains of which two anchors say different things. */
  readonly disputed = new Map<string, Fault>();

  constructor(sinks: readonly string[]) {
    this.#here = new Set([undefined, ...sinks]);
  }

  add(head: Head): void {
    const { writer, seq, at, hash, keep, sink } = head;
    const chain = this.#chains.get(writer) ?? {
      latest: head,
      hashes: new Map<number, string>(),
      until: 0,
      sinks: new Set<string | undefined>(),
    };
    this.#chains.set(writer, chain);
    if ((chain.hashes.get(seq) ?? hash) !== hash) this.disputed.set(writer, { writer, seq, what: 'altered' });
    chain.hashes.set(seq, hash);
    if (seq > chain.latest.seq) chain.latest = head;
    // The longest that was ever said: whoever alters what is said later does not bring its end nearer.
    chain.until = Math.max(chain.until, at + (keep ?? Number.POSITIVE_INFINITY));
    chain.sinks.add(sink);
    const [first] = chain.hashes.keys();
    if (chain.hashes.size > EARLIER_MAX && first !== undefined) chain.hashes.delete(first);
  }

  hear({ action, at, heads = [], about }: AuditRecord): void {
    this.#now = Math.max(this.#now, at);
    if (action === 'trail.opened') this.#here.add(about?.sink);
    if (action === 'trail.removed') for (const { writer, seq } of heads) this.#removed.set(writer, seq);
  }

  /**
   * Whether it is in order that nothing of a chain is there: who removed it said so, or, as that record may be gone as well, its time was over before
   * the latest record.
   */
  mayBeGone(writer: string): boolean {
    const { latest, until } = this.#chains.get(writer) as Claimed;
    return (this.#removed.get(writer) ?? 0) >= latest.seq || until < Math.min(this.#now, Date.now());
  }

  /** Whether a chain is kept where none of those that are there is: all anchors must say so. */
  isElsewhere({ sinks }: Claimed): boolean {
    return ![...sinks].some((sink) => this.#here.has(sink));
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

  #hear(record: AuditRecord, claims: Claims): void {
    const { action, heads = [] } = record;
    claims.hear(record);
    if (action === 'trail.trimmed') {
      const [head] = heads;
      if (head && head.seq >= (this.#trimmed?.seq ?? 0)) this.#trimmed = head;
    } else if (action !== 'trail.removed' && !this.#fault && !this.#doubted) for (const head of heads) claims.add(head);
  }

  #found(what: Fault['what'], seq: number): void {
    this.#fault ??= { what, seq };
  }
}
