import type { CarillonError, ChannelItem, InboxEvent, InboxFilter, InboxMark, Notification } from '@carillon/contracts';

/** A place in one user's log. Offsets are contiguous within an epoch; another epoch is another log. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** Where a user's inbox stands. */
export interface Head extends Position {
  readonly unreadCount: number;
}

/** One change of an inbox, at its offset. `unreadCount` is the count right after it. */
export type InboxChange = Head &
  (
    | { readonly event: Exclude<InboxEvent, 'deleted'>; readonly notification: Notification }
    | { readonly event: 'deleted'; readonly id: string }
    /** Everything unread was marked as read at `upTo` (ms). */
    | { readonly event: 'allRead'; readonly upTo: number }
  );

/** A page, newest first, with the state of the inbox at the moment it was read. */
export interface InboxPage extends Head {
  readonly data: Notification[];
  /** Give it back to read on; absent on the last page. */
  readonly nextCursor?: string;
}

/** What of an inbox to read; a filter that is absent does not narrow. */
export interface PageRequest extends Readonly<InboxFilter> {
  /** Notifications to return, 1–1000. */
  readonly limit: number;
  /** Notifications to skip, of those the filter leaves. Not together with `cursor`. */
  readonly offset?: number | undefined;
  /** `nextCursor` of the page before, which was narrowed alike. */
  readonly cursor?: string | undefined;
}

/** What happened since a position: all of it in order, or nothing of it (`recovered: false`: read a page instead). */
export type Resumption = Head & ({ readonly recovered: true; readonly changes: InboxChange[] } | { readonly recovered: false });

/** How the append of one item ended. `repeated`: it was appended before, and nothing changed; `erased`: it was created before its user was erased, or they are being erased. */
export type Appended =
  | { readonly ok: true; readonly value: 'stored' | 'repeated' | 'erased' }
  | { readonly ok: false; readonly error: CarillonError };

/**
 * The inboxes of all users. Every change takes the next offset of its user's log and is announced to who follows the user.
 * Memory and Redis pass the same suite (`@carillon/inbox/testing`). Methods throw REDIS_UNAVAILABLE when the store is away.
 */
export interface Inbox {
  /** Puts rendered notifications into the inboxes of their users, at most once each, whatever has been trimmed or deleted since. Never throws. */
  append(items: readonly ChannelItem[]): Promise<Appended[]>;
  /** Marks one as read; marking again changes nothing. @throws NOTIFICATION_NOT_FOUND */
  markAsRead(userId: string, notificationId: string): Promise<void>;
  /**
   * Does one thing to one notification, and answers with it as it is then. What is so already changes nothing and is announced to nobody.
   * Archiving reads as well, in the same change; what is marked as unread in the archive counts again. @throws NOTIFICATION_NOT_FOUND
   */
  mark(userId: string, notificationId: string, mark: InboxMark): Promise<Notification>;
  /** Removes one for good, by a logged deletion. @throws NOTIFICATION_NOT_FOUND */
  remove(userId: string, notificationId: string): Promise<void>;
  /** Marks all as read, in one change. */
  markAllAsRead(userId: string): Promise<void>;
  /**
   * Reads a page. One that is narrowed may be read in several steps; its head is that of the first, and what has changed since is still to come by the log.
   * @throws FIELD_INVALID `cursor` if it is none of ours or comes with an offset
   */
  page(userId: string, request: PageRequest): Promise<InboxPage>;
  head(userId: string): Promise<Head>;
  /** Every change after `position`, or word that they cannot all be had: another epoch, trimmed, or a position above the head. */
  since(userId: string, position: Position): Promise<Resumption>;
  /**
   * Hears a user's changes as they are announced. Resolves when no later change can be missed by the subscription itself; announcements are
   * a hint (at most once, in order): compare offsets and read `since` on a gap. One subscription a user; the listeners must not throw. `onRevoked` hears
   * that the user's client tokens of before a time (ms since the epoch) count no more. @throws ERASURE_UNDER_WAY
   */
  follow(userId: string, listener: (change: InboxChange) => void, onRevoked?: (since: number) => void): Promise<() => Promise<void>>;
  /** Tells when announcements may have been lost (the connection was away): check the position of every followed user. */
  onGap(listener: () => void): void;
  /**
   * Removes what was sealed for a user before they were erased, as deletions that can be followed: after a restore of Redis, for somebody who has come back.
   * Answers how many notifications. @throws KEY_STORE_UNAVAILABLE
   */
  purge(userId: string): Promise<number>;
  /** Removes all of a user's inbox, its log included: whoever comes back begins another. Answers how many notifications it held. */
  forget(userId: string): Promise<number>;
  /** Closes what `follow` opened, which throws REDIS_UNAVAILABLE from then on. */
  close(): Promise<void>;
}
