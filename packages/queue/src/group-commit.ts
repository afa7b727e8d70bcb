import { CarillonError } from '@carillon/contracts';

/** What became of one entry. */
export type Committed<R> = { readonly ok: true; readonly value: R } | { readonly ok: false; readonly error: CarillonError };

/** Bounds of a group commit. */
export interface GroupCommitLimits {
  /** Entries that leave together at most. */
  readonly maxItems: number;
  /** Bytes that leave together at most; a larger entry leaves alone. */
  readonly maxBytes: number;
  /** Commits of one lane under way at once; while that many are, callers gather. */
  readonly maxInFlight: number;
  /** Bytes that may gather in all lanes together. Above, callers are refused with QUEUE_FULL. */
  readonly maxWaitingBytes: number;
}

interface Entry<T, R> {
  readonly value: T;
  readonly bytes: number;
  readonly resolve: (result: Committed<R>) => void;
}

interface Lane<T, R> {
  readonly waiting: Entry<T, R>[];
  inFlight: number;
  scheduled: boolean;
}

/** Pause suggested to a caller who finds the buffer full, ms. */
const FULL_RETRY_MS = 250;

/**
 * Lets callers that come while a commit is under way leave together. An entry that finds its lane idle leaves at the end of this tick,
 * so a single call waits for nobody. `commit` must answer one result per entry, in order, and not throw.
 */
export function createGroupCommit<T, R>(limits: GroupCommitLimits, commit: (lane: string, values: T[]) => Promise<Committed<R>[]>) {
  const lanes = new Map<string, Lane<T, R>>();
  let waitingBytes = 0;
  let underWay = 0;
  let whenIdle: (() => void)[] = [];

  const take = (lane: Lane<T, R>): Entry<T, R>[] => {
    let count = 0;
    let bytes = 0;
    for (const entry of lane.waiting) {
      if (count > 0 && (count >= limits.maxItems || bytes + entry.bytes > limits.maxBytes)) break;
      count++;
      bytes += entry.bytes;
    }
    waitingBytes -= bytes;
    return lane.waiting.splice(0, count);
  };

  const send = async (name: string, lane: Lane<T, R>) => {
    const entries = take(lane);
    lane.inFlight++;
    const results = await commit(
      name,
      entries.map((entry) => entry.value),
    ).catch((cause): Committed<R>[] => entries.map(() => ({ ok: false, error: new CarillonError('INTERNAL', { cause }) })));
    lane.inFlight--;
    entries.forEach((entry, index) => {
      entry.resolve(results[index] as Committed<R>);
    });
    underWay -= entries.length;
    if (lane.waiting.length > 0) flush(name, lane);
    else if (lane.inFlight === 0) lanes.delete(name);
    if (underWay === 0) {
      for (const resolve of whenIdle) resolve();
      whenIdle = [];
    }
  };

  const flush = (name: string, lane: Lane<T, R>) => {
    lane.scheduled = false;
    while (lane.waiting.length > 0 && lane.inFlight < limits.maxInFlight) void send(name, lane);
  };

  return {
    /** Commits one entry of `bytes` on a lane. Never throws. */
    add(name: string, value: T, bytes: number): Promise<Committed<R>> {
      if (waitingBytes + bytes > limits.maxWaitingBytes) {
        return Promise.resolve({ ok: false, error: new CarillonError('QUEUE_FULL', { retryAfter: FULL_RETRY_MS }) });
      }
      const lane = lanes.get(name) ?? { waiting: [], inFlight: 0, scheduled: false };
      lanes.set(name, lane);
      waitingBytes += bytes;
      underWay++;
      return new Promise((resolve) => {
        lane.waiting.push({ value, bytes, resolve });
        if (lane.scheduled) return;
        lane.scheduled = true;
        // The end of the tick, so that callers in one loop leave together.
        setImmediate(flush, name, lane);
      });
    },
    /** Resolves when nothing is under way. */
    idle(): Promise<void> {
      return underWay === 0 ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve));
    },
  };
}
