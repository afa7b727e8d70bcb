import { Check, type Claimed, Claims, type Fault } from './check.js';
import { type Head, unseal } from './record.js';

/** Where chains are read from. May be read more than once. */
export interface Chains {
  /** Names of all chains. */
  names(): Promise<readonly string[]>;
  /** The texts of one chain's records, in order; none for a chain that is not there. */
  records(writer: string): AsyncIterable<string>;
  /** Heads that are known from elsewhere. */
  heads(): Promise<readonly Head[]>;
  /** The sinks these are the whole of, as heads name them, as far as that is known besides what their records say. */
  sinks(): Promise<readonly string[]>;
  /** Whether they are never trimmed: then nothing excuses what is missing. */
  readonly isWhole: boolean;
}

/** What a verification found. */
export interface Verdict {
  readonly chains: number;
  readonly records: number;
  /** The first fault of each chain that has one. None: every record is there and as it was written. */
  readonly faults: readonly Fault[];
  /** Chains that anchors name as kept elsewhere than in the places that were looked at, such as another machine's folder; they were not checked. */
  readonly elsewhere: readonly string[];
}

/**
 * Checks every record of every chain, and every anchor. An anchor vouches for the records up to it; whoever can write to all chains and to where they are
 * copied can rewrite what is after the last anchor. Holds the latest anchors in memory, not the records.
 */
export async function verify(chains: Chains): Promise<Verdict> {
  const claims = new Claims(await chains.sinks());
  // Before the chains: they only grow, so what is claimed must be there.
  for (const head of await chains.heads()) claims.add(head);
  const faults: Fault[] = [];
  const elsewhere: string[] = [];
  const names = await chains.names();
  let records = 0;
  for (const writer of names) {
    const check = new Check(writer, chains.isWhole);
    for await (const text of chains.records(writer)) check.take(text, claims);
    const fault = check.end();
    if (fault) faults.push(fault);
    records += check.count;
  }
  const isFaulty = (writer: string) => faults.some((fault) => fault.writer === writer);
  for (const fault of claims.disputed.values()) if (!isFaulty(fault.writer)) faults.push(fault);
  for (const [writer, claimed] of claims) {
    if (isFaulty(writer)) continue;
    const isElsewhere = chains.isWhole && !names.includes(writer) && claims.isElsewhere(claimed);
    const fault = await unfulfilled(chains, writer, claimed, isElsewhere || (!chains.isWhole && claims.mayBeGone(writer)));
    if (fault) faults.push(fault);
    else if (isElsewhere) elsewhere.push(writer);
  }
  return { chains: names.length, records, faults, elsewhere };
}

/** Goes through a chain once more for what anchors claim of it. */
async function unfulfilled(chains: Chains, writer: string, { latest, hashes }: Claimed, mayBeGone: boolean): Promise<Fault | undefined> {
  let last: number | undefined;
  for await (const text of chains.records(writer)) {
    const record = unseal(text);
    if (!record) continue;
    last = record.seq;
    const claimed = record.seq === latest.seq ? latest.hash : hashes.get(record.seq);
    if (claimed !== undefined && claimed !== record.hash) return { writer, seq: record.seq, what: 'altered' };
  }
  if (last === undefined) return mayBeGone ? undefined : { writer, seq: 1, what: 'removed' };
  return last < latest.seq ? { writer, seq: last + 1, what: 'cut' } : undefined;
}
