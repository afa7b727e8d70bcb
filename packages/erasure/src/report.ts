import type { ErasureReport } from './erasure.js';
import type { Entry } from './parts.js';

/** What an erasure leaves behind, where and for how long. Of what cannot be opened only bytes are left. */
const REMAINS: ErasureReport['remains'] = [
  {
    where: 'queues',
    what: 'jobs of before, sealed with the destroyed key: dropped when their turn comes',
    until: 'their turn, failed ones 7 days',
  },
  { where: 'transit keys', what: 'none are used: every item of a job is sealed with its own user’s key', until: 'nothing remains' },
  {
    where: 'append-only file and backups of the queues',
    what: 'values sealed with the destroyed key',
    until: 'the file is rewritten, the backups expire',
  },
  {
    where: 'backups of the key store',
    what: 'the wrapped key, if the backup is older than the erasure',
    until: 'the backups expire: keep them 30 days at most',
  },
  { where: 'providers', what: 'messages that were handed over: mail, push, text', until: 'the provider’s own retention' },
  {
    where: 'messages that were delivered',
    what: 'links to unsubscribe, which hold the user id sealed',
    until: 'the messages are deleted by who has them',
  },
  { where: 'suppressions', what: 'keyed hashes of addresses that must not be written to', until: 'they are lifted' },
  {
    where: 'revoked tokens',
    what: 'the user id, so that client tokens of before stay refused',
    until: 'such tokens have expired, 400 days',
  },
  { where: 'audit trail', what: 'ids: that something was done, never content', until: 'NOTIFICATION_RETENTION_AUDIT' },
  { where: 'log of erasures', what: 'a keyed hash of the user id, to repeat the erasure after a restore', until: 'it is kept' },
];

/** How an erasure stands, for people. */
export function reportOf({ id, requestedAt, completedAt, destroyed }: Entry): ErasureReport {
  return {
    id,
    status: completedAt === undefined ? 'erasing' : 'erased',
    requestedAt,
    completedAt: completedAt ?? null,
    destroyed,
    remains: REMAINS,
  };
}
