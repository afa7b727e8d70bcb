import { z } from 'zod';
import type { Notification } from './notification.js';

/** Bytes a client's frame may have. */
export const FRAME_MAX_BYTES = 16 * 1024;
/** Notifications one page may hold. */
export const PAGE_MAX = 100;

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
  z.object({ type: z.literal('markAllAsRead'), requestId }),
  z.object({
    type: z.literal('getNotifications'),
    requestId,
    limit: z.number().int().min(1).max(PAGE_MAX).optional(),
    offset: position.optional(),
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
  | { type: 'ok' }
  | { type: 'error'; error: string; code: string }
);
