import { CarillonError, type ClientFrame, type InboxMark, notificationIdSchema, type ServerFrame } from '@carillon/contracts';
import { pageFrame } from './frames.js';
import { type GatewayParts, PAGE_DEFAULT } from './parts.js';
import { idsOfPage, noteDone, noteFailed } from './trail.js';

/** What frames are answered with. */
type Performing = Pick<GatewayParts, 'inbox' | 'audit' | 'markAsRead' | 'markAllAsRead'>;

/**
 * Does what a known client asks for by a frame, notes it in the audit trail, and gives the answer. A ping touches nobody's data and is not noted.
 *
 * @throws NOTIFICATION_NOT_FOUND, FIELD_INVALID `cursor`, KEY_STORE_UNAVAILABLE, REDIS_UNAVAILABLE; noted as well.
 */
export async function answer(parts: Performing, userId: string, frame: ClientFrame): Promise<ServerFrame> {
  if (frame.type === 'ping') return { type: 'ok' };
  try {
    const { ids, reply } = await perform(parts, userId, frame);
    noteDone(parts.audit, userId, frame.type, ids);
    return reply;
  } catch (error) {
    noteFailed(parts.audit, userId, frame.type, error);
    throw error;
  }
}

/** Frames that ask for something of the user's. */
type Asking = Exclude<ClientFrame, { type: 'ping' }>;

/** What a frame does to the notification it names. */
const markOf = {
  markAsUnread: 'unread',
  markAsSeen: 'seen',
  archive: 'archived',
  unarchive: 'unarchived',
} as const satisfies Partial<Record<ClientFrame['type'], InboxMark>>;

/** The answer, and which notifications it was about; all of them if it does not say. */
async function perform(parts: Performing, userId: string, frame: Asking): Promise<{ reply: ServerFrame; ids?: readonly string[] }> {
  switch (frame.type) {
    case 'markAsRead':
    case 'markAsUnread':
    case 'markAsSeen':
    case 'archive':
    case 'unarchive':
    case 'delete': {
      const id = knownId(frame.notificationId);
      if (frame.type === 'markAsRead') await parts.markAsRead(userId, id);
      else if (frame.type === 'delete') await parts.inbox.remove(userId, id);
      else await parts.inbox.mark(userId, id, markOf[frame.type]);
      return { reply: { type: 'ok' }, ids: [id] };
    }
    case 'markAllAsRead':
      await parts.markAllAsRead(userId);
      return { reply: { type: 'ok' } };
    case 'getNotifications': {
      const { type: _type, requestId: _requestId, limit = PAGE_DEFAULT, ...rest } = frame;
      const page = await parts.inbox.page(userId, { limit, ...rest });
      return { reply: pageFrame(page, false), ids: idsOfPage(page) };
    }
    case 'authenticate':
      throw new CarillonError('BAD_MESSAGE');
  }
}

/** What is no id of ours may be anything, and goes no further. @throws NOTIFICATION_NOT_FOUND */
function knownId(id: string): string {
  if (notificationIdSchema.safeParse(id).success) return id;
  throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'notificationId' });
}
