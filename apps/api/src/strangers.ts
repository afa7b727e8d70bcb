import type { Audit, AuditEvent } from '@carillon/audit';
import { ANYBODY } from './guard.js';

/** Milliseconds over which failures of strangers are counted: however much they send, they fill no audit trail. */
const GATHER_MS = 60_000;

/** What failed, of whoever has proven nothing. */
export type Failure = Pick<AuditEvent, 'action' | 'outcome'>;

/** The failures of strangers. */
export interface Strangers {
  /** Counts a failure. It is on record within a minute, with others of the same action and code: one record, with their `count`. */
  failed(failure: Failure): void;
  /** Writes what was counted. Nothing counts after it. */
  close(): void;
}

/** Counts in this process's memory, which no stranger can fill: actions and codes are closed lists. */
export function createStrangers(audit: Pick<Audit, 'note'>): Strangers {
  const gathered = new Map<string, Failure & { count: number }>();
  let timer: NodeJS.Timeout | undefined;
  const write = () => {
    timer = undefined;
    for (const { count, ...failure } of gathered.values()) audit.note({ actor: ANYBODY, ...failure, about: { count } });
    gathered.clear();
  };
  return {
    failed({ action, outcome }) {
      const sort = `${action} ${outcome}`;
      const { count } = gathered.get(sort) ?? { count: 0 };
      gathered.set(sort, { action, outcome, count: count + 1 });
      timer ??= setTimeout(write, GATHER_MS).unref();
    },
    close() {
      clearTimeout(timer);
      write();
    },
  };
}
