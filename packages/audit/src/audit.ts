import type { ErrorCode } from '@carillon/contracts';

/** What is audited. */
export const auditActions = [
  'template.registered',
  'template.removed',
  'template.viewed',
  'notification.queued',
  'notification.canceled',
  'notification.viewed',
  'delivery.settled',
  'inbox.viewed',
  'inbox.changed',
  'person.viewed',
  'person.changed',
  'person.exported',
  'person.erased',
  'token.issued',
  'token.revoked',
  'queues.viewed',
  'queues.changed',
  'preview.viewed',
  'audit.viewed',
  'operations.viewed',
  'receipt.taken',
  'access.refused',
  'session.opened',
  'key.made',
  'key.used',
  'key.rewrapped',
  'key.destroyed',
  'pii.detected',
] as const;
export type AuditAction = (typeof auditActions)[number];

/**
 * Who did it: an API key by its name, a user by client token (the token's subject), somebody at the queue board by the name of their key,
 * or a role of Carillon itself. `anybody` is who brought no proof.
 */
export interface Actor {
  readonly type: 'key' | 'user' | 'admin' | 'system' | 'anybody';
  readonly name: string;
}

/** What happened. Never content: ids, codes and counts only. */
export interface AuditEvent {
  readonly actor: Actor;
  readonly action: AuditAction;
  /** Ids of what it was done to: notifications, templates, keys, erasures. */
  readonly ids?: readonly string[] | undefined;
  /** The people concerned. */
  readonly users?: readonly string[] | undefined;
  /** `ok` unless told: the code of what it failed with. */
  readonly outcome?: 'ok' | ErrorCode | undefined;
  /** What else is to be known, such as `channel`, `status`, `route`, `entity`. */
  readonly about?: Readonly<Record<string, string | number>> | undefined;
}

/** The audit trail as those see it who write into it. */
export interface Audit {
  /**
   * Notes an event: written within a quarter of a second, in one record with others of the same action, actor, outcome and `about`.
   * Never throws; what cannot be written is kept and tried again, and told loudly.
   */
  note(event: AuditEvent): void;
  /** Resolves when the event is kept. @throws AUDIT_UNAVAILABLE */
  keep(event: AuditEvent): Promise<void>;
}

/** An audit trail that is not kept: for tests and for who audits elsewhere. */
export const noAudit: Audit = { note() {}, keep: async () => {} };
