import { z } from 'zod';
import { categorySchema, line, type Notification } from './notification.js';

/** Bytes a client's frame may have. */
export const FRAME_MAX_BYTES = 16 * 1024;
/** Notifications one page may hold. */
export const PAGE_MAX = 100;

/**
 * What a list is narrowed to. What is absent does not narrow: without `archived`, archived notifications are listed among the others.
 */
export const inboxFilterSchema = z.object({
  /** Only those not read, or (false) only those read. */
  unread: z.boolean().optional(),
  /** Only archived ones, or (false) only others. */
  archived: z.boolean().optional(),
  category: categorySchema.optional(),
  threadId: line(128).optional(),
  /** One of its tags. */
  tag: line(64).optional(),
  /** Created at that time or later, ms since the epoch. */
  since: z.number().int().nonnegative().optional(),
});
export type InboxFilter = z.output<typeof inboxFilterSchema>;

/** What can be done to one notification, by the event that tells of it. */
export const inboxMarks = ['read', 'unread', 'seen', 'archived', 'unarchived'] as const;
export type InboxMark = (typeof inboxMarks)[number];

const requestId = z.union([z.string().max(128), z.number()]).optional();
const notificationId = z.string().min(1).max(64);
const position = z.number().int().nonnegative();

/** What a client may send after the socket opened. Unknown extra fields are ignored. */
export const clientFrameSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('authenticate'),
    requestId,
    token: z.string().min(1),
    epoch: z.string().min(1).max(64).optional(),
    offset: position.optional(),
  }),
  z.object({ type: z.literal('markAsRead'), requestId, notificationId }),
  z.object({ type: z.literal('markAsUnread'), requestId, notificationId }),
  z.object({ type: z.literal('markAsSeen'), requestId, notificationId }),
  z.object({ type: z.literal('archive'), requestId, notificationId }),
  z.object({ type: z.literal('unarchive'), requestId, notificationId }),
  z.object({ type: z.literal('delete'), requestId, notificationId }),
  z.object({ type: z.literal('markAllAsRead'), requestId }),
  /** Answered with `ok`: a page hears nothing of the pings of RFC 6455, and asks by this whether its connection lives. */
  z.object({ type: z.literal('ping'), requestId }),
  z.object({
    type: z.literal('getNotifications'),
    requestId,
    limit: z.number().int().min(1).max(PAGE_MAX).optional(),
    /** Items to skip. Not together with `cursor`. */
    offset: position.optional(),
    /** `nextCursor` of the page before, which was narrowed alike. */
    cursor: z.string().min(1).max(256).optional(),
    ...inboxFilterSchema.shape,
  }),
]);
export type ClientFrame = z.infer<typeof clientFrameSchema>;

/** What a change did to a notification. */
export type InboxEvent = 'new' | 'read' | 'unread' | 'seen' | 'archived' | 'unarchived' | 'updated' | 'deleted';

/** What a server may send. `offset` is the position of the change in the user's inbox log. */
export type ServerFrame = { requestId?: string | number } & (
  | { type: 'authenticated'; data: { userId: string; unreadCount: number; epoch: string; offset: number; recovered: boolean } }
  | { type: 'unreadCount'; data: { unreadCount: number }; offset: number }
  | { type: 'notification'; event: Exclude<InboxEvent, 'deleted'>; data: Notification; offset: number; unreadCount: number }
  | { type: 'notification'; event: 'deleted'; data: { id: string }; offset: number; unreadCount: number }
  | { type: 'allRead'; data: { upTo: number }; offset: number; unreadCount: number }
  | {
      type: 'notifications';
      data: Notification[];
      epoch: string;
      offset: number;
      unreadCount: number;
      nextCursor?: string;
      snapshot?: true;
    }
  /** The token of this connection expires then, ms since the epoch; told a minute before, or at once if less is left. */
  | { type: 'tokenExpiring'; data: { expiresAt: number } }
  | { type: 'ok' }
  | { type: 'error'; error: string; code: string }
);
