/** The audit trail: who did what to whose data, in hash chains. */
export { type Actor, type Audit, type AuditAction, type AuditEvent, auditActions, noAudit } from './audit.js';
export { chainsInFolder, chainsInRedis, chainsNow } from './chains.js';
export type { Fault } from './check.js';
export { type AuditSettings, connectAudit } from './connect.js';
export { type AuditQuery, type AuditReader, createAuditReader } from './reader.js';
export type { AuditRecord, Head, TrailAction } from './record.js';
export { makeFolder, SEGMENT } from './sink.js';
export { type AuditEvents, type AuditLimits, type AuditOptions, type AuditTrail, openAudit } from './trail.js';
export { type Chains, type Verdict, verify } from './verify.js';
