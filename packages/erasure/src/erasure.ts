import type { Actor } from '@carillon/audit';

/** How an erasure stands. Times are ms since the epoch. */
export interface ErasureReport {
  readonly id: string;
  /** `erasing` until nothing of the person can be written by anybody who had their key in memory; about a minute. */
  readonly status: 'erasing' | 'erased';
  readonly requestedAt: number;
  readonly completedAt: number | null;
  /** What was destroyed, with counts where things can be counted. */
  readonly destroyed: Readonly<Record<string, number | boolean>>;
  /** What remains, where, and until when or why: sealed bytes in append-only files and backups, what providers have, the audit trail, suppressions. */
  readonly remains: readonly { readonly where: string; readonly what: string; readonly until: string }[];
}

/** Erases and exports people. */
export interface Erasures {
  /**
   * Erases a person: destroys their key, so that nothing sealed for them opens again wherever a copy of it is, and removes their records.
   * Jobs made before are dropped, also if the person is told of again. Resolves when the key is gone; the rest goes on and survives a crash.
   * Erasing somebody unknown is an erasure too. @throws KEY_STORE_UNAVAILABLE, REDIS_UNAVAILABLE, AUDIT_UNAVAILABLE
   */
  erase(userId: string, actor: Actor): Promise<{ erasureId: string }>;
  /** @throws ERASURE_NOT_FOUND */
  get(erasureId: string): Promise<ErasureReport>;
  /** What is kept of a person, readable: profile, wishes, devices, inbox, records; not what is on its way in queues, nor previews. @throws REDIS_UNAVAILABLE, KEY_STORE_UNAVAILABLE, AUDIT_UNAVAILABLE */
  exportPerson(userId: string, actor: Actor): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}
