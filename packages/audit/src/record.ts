import { createHash } from 'node:crypto';
import type { Actor, AuditAction } from './audit.js';

/** What the trail says of itself: who opened and closed a chain, which heads the chains had, and what is not there any more. */
export type TrailAction = 'trail.opened' | 'trail.anchored' | 'trail.trimmed' | 'trail.removed' | 'trail.lost' | 'trail.closed';

/** The last record of a chain at some moment. */
export interface Head {
  readonly writer: string;
  readonly seq: number;
  /** When it was, ms since 1970. */
  readonly at: number;
  readonly hash: string;
  /** In an anchor: how long Redis keeps the chain after its last record, ms, as its writer says. */
  readonly keep?: number | undefined;
  /** In an anchor: where the chain is kept, as its `trail.opened` says: `redis`, `stdout`, or `file:` and an id of the folder. */
  readonly sink?: string | undefined;
}

/** One record of the audit trail. */
export interface AuditRecord {
  readonly v: 1;
  /** Name of the chain: the role and a random part, one for each process. */
  readonly writer: string;
  /** Position in the chain, from 1. */
  readonly seq: number;
  /** When the first event of the record was, ms since 1970, by the clock of the writer; less than in the record before if that was set back. */
  readonly at: number;
  /** `name` is `*` if several users did the same: then `users` names them, and if there are ids, each at the place of its id. */
  readonly actor: Actor;
  readonly action: AuditAction | TrailAction;
  readonly ids?: readonly string[];
  readonly users?: readonly string[];
  /** `ok` or a code of the catalogue of errors. */
  readonly outcome: string;
  readonly about?: Readonly<Record<string, string | number>>;
  /** Heads of chains as this writer found them: an anchor for each of them; of `trail.trimmed` and `trail.removed`, up to where there is nothing any more. */
  readonly heads?: readonly Head[];
  /** Hash of the record before; zeros for the first. */
  readonly prev: string;
  /** SHA-256, hex, of this record's JSON text without its last member, which this is. */
  readonly hash: string;
}

/** Whether a chain may have that name, which becomes part of a key and of the name of a file. */
export const isChainName = (name: string): boolean => /^[\w-][\w.-]*$/.test(name);

/** `prev` of a chain's first record. */
export const BEGINNING = '0'.repeat(64);
/** The last member: `,"hash":"<64 hex digits>"}`. */
const SEAL = /^,"hash":"([0-9a-f]{64})"\}$/;
const SEAL_LENGTH = 75;

/** A record's JSON text, and what the next one names of it. */
export interface Sealed {
  readonly text: string;
  readonly head: Head;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Writes a record as it is kept: the hash is over the very text before it, so that checking it takes no rules about order or spelling. */
export function seal(record: Omit<AuditRecord, 'hash'>): Sealed {
  const open = JSON.stringify(record);
  const hash = sha256(open);
  const { writer, seq, at } = record;
  return { text: `${open.slice(0, -1)},"hash":"${hash}"}`, head: { writer, seq, at, hash } };
}

/** The record a text holds; undefined if it is none, or not as it was written. */
export function unseal(text: string): AuditRecord | undefined {
  const [, hash] = SEAL.exec(text.slice(-SEAL_LENGTH)) ?? [];
  if (hash === undefined || sha256(`${text.slice(0, -SEAL_LENGTH)}}`) !== hash) return undefined;
  try {
    const record = JSON.parse(text) as AuditRecord;
    return record.v === 1 && Number.isSafeInteger(record.seq) ? record : undefined;
  } catch {
    return undefined;
  }
}
