import type { Redis } from '@carillon/redis';
import { type AuditEvents, type AuditTrail, openAudit } from './trail.js';

/** The settings of the same names. */
export interface AuditSettings {
  readonly auditSink?: string | undefined;
  /** ms. */
  readonly retentionAudit: number;
}

/**
 * The audit trail of a process as it is configured: in the sink that is set; without one, in files of this folder; without either, in Redis. Closed through
 * `defer`, so open it before what writes into it.
 *
 * @throws CONFIGURATION_INVALID, REDIS_UNAVAILABLE, AUDIT_UNAVAILABLE
 */
export async function connectAudit(
  { auditSink, retentionAudit: retention }: AuditSettings,
  parts: {
    readonly redis: Redis;
    /** The role of the process; its chain is named after it. */
    readonly role: string;
    readonly folder?: string | undefined;
    readonly log: { readonly error: NonNullable<AuditEvents['error']> };
    readonly defer: (what: string, close: () => Promise<void>) => void;
  },
): Promise<AuditTrail> {
  const { redis, role: writer, folder, log, defer } = parts;
  const sink = auditSink ?? (folder === undefined ? 'redis' : `file:${folder}`);
  const trail = await openAudit({ redis, sink, retention, writer, events: { error: log.error } });
  defer('audit trail', () => trail.close());
  return trail;
}
