import type { AuditAction } from '@carillon/audit';
import { type CarillonError, type ClientFrame, toCarillonError } from '@carillon/contracts';
import type { InboxChange, InboxPage } from '@carillon/inbox';
import type { GatewayParts } from './parts.js';

type Audit = GatewayParts['audit'];
type FrameType = ClientFrame['type'];

/** Frames that change nothing. */
const VIEWING = new Set<FrameType>(['getNotifications', 'authenticate']);
/** What a frame of a known client is in the audit trail. */
const actionOf = (frame: FrameType): AuditAction => (VIEWING.has(frame) ? 'inbox.viewed' : 'inbox.changed');

function note(audit: Audit, userId: string, frame: FrameType, rest: { ids?: readonly string[]; outcome?: CarillonError['code'] }): void {
  audit.note({ actor: { type: 'user', name: userId }, action: actionOf(frame), users: [userId], about: { frame }, ...rest });
}

/** Notes that a user did something by a frame to the notifications of these ids; none means all of them. */
export function noteDone(audit: Audit, userId: string, frame: FrameType, ids?: readonly string[]): void {
  note(audit, userId, frame, ids ? { ids } : {});
}

/** Notes that it came to nothing. The ids a client named are left out: they need not be ids. */
export function noteFailed(audit: Audit, userId: string, frame: FrameType, error: unknown): void {
  note(audit, userId, frame, { outcome: toCarillonError(error).code });
}

/** Notes that a user's token was taken. */
export function noteOpened(audit: Audit, userId: string): void {
  audit.note({ actor: { type: 'user', name: userId }, action: 'session.opened' });
}

/** Notes that a token was refused; with the user, if that much was proved. */
export function noteRefused(audit: Audit, code: CarillonError['code'], userId: string | undefined): void {
  const about = { frame: 'authenticate' };
  audit.note({ actor: { type: 'anybody', name: '' }, action: 'access.refused', outcome: code, about, ...(userId && { users: [userId] }) });
}

/** Ids of the notifications on a page. */
export const idsOfPage = (page: InboxPage): string[] => page.data.map(({ id }) => id);

/** Ids of the notifications that changes show. */
export const idsOfChanges = (changes: readonly InboxChange[]): string[] =>
  changes.flatMap((change) => ('notification' in change ? [change.notification.id] : []));
