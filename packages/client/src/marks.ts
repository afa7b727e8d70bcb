import { asRead } from './list.js';
import type { Notification } from './notification.js';

/** What each mark does to one notification, as the server does it: the same object if nothing, undefined if it is gone. */
export const effects = {
  markAsRead: asRead,
  markAllAsRead: asRead,
  markAsUnread: (is: Notification): Notification => (is.readAt ? { ...is, readAt: null, status: 'delivered' } : is),
  markAsSeen: (is: Notification, at: number): Notification => (is.seenAt ? is : { ...is, seenAt: at }),
  archive: (is: Notification, at: number): Notification => (is.archivedAt ? is : { ...asRead(is, at), archivedAt: at }),
  unarchive: (is: Notification): Notification => (is.archivedAt ? { ...is, archivedAt: null } : is),
  delete: (): undefined => undefined,
};

export type MarkName = keyof typeof effects;

/** A mark that shows before the server has told of it. */
export interface Mark {
  readonly name: MarkName;
  /** All of them without. */
  readonly ids: readonly string[] | undefined;
  /** ms since the epoch */
  readonly at: number;
  /** The server has said ok; what it tells of the change may still be on its way. */
  isDone: boolean;
}

/** A user's notifications by their ids, as the server last told of them. */
export type Known = ReadonlyMap<string, Notification>;

const unread = (is: Notification | undefined) => (is && !is.readAt ? 1 : 0);

/** What marks make of what is known: the notifications they change, and the count. */
export function overlay(marks: readonly Mark[], known: Known, unreadCount: number) {
  const changed = new Map<string, Notification | undefined>();
  let count = unreadCount;
  for (const { name, ids, at } of marks) {
    for (const id of ids ?? known.keys()) {
      const before = (changed.has(id) ? changed : known).get(id);
      const after = before && effects[name](before, at);
      if (after === before) continue;
      changed.set(id, after);
      count += unread(after) - unread(before);
    }
    // Also those that are not known here.
    if (!ids) count = 0;
  }
  return [changed, Math.max(0, count)] as const;
}

/** Whether the server's own word already says what the mark does. */
export const isTold = (mark: Mark, known: Known): boolean => !overlay([mark], known, 0)[0].size;
