import { CarillonError, type ClientFrame, notificationIdSchema, type ServerFrame } from '@carillon/contracts';
import { pageFrame } from './frames.js';
import { type GatewayParts, PAGE_DEFAULT } from './parts.js';
import { idsOfPage, noteDone, noteFailed } from './trail.js';

/**
 * Does what a known client asks for by a frame, notes it in the audit trail, and gives the answer.
 *
 * @throws NOTIFICATION_NOT_FOUND, REDIS_UNAVAILABLE; noted as well.
 */
export async function answer(parts: GatewayParts, userId: string, frame: ClientFrame): Promise<ServerFrame> {
  try {
    const { ids, reply } = await perform(parts, userId, frame);
    noteDone(parts.audit, userId, frame.type, ids);
    return reply;
  } catch (error) {
    noteFailed(parts.audit, userId, frame.type, error);
    throw error;
  }
}

/** The answer, and which notifications it was about; all of them if it does not say. */
async function perform(parts: GatewayParts, userId: string, frame: ClientFrame): Promise<{ reply: ServerFrame; ids?: readonly string[] }> {
  switch (frame.type) {
    case 'markAsRead':
      // What is no id of ours may be anything, and goes no further.
      if (!notificationIdSchema.safeParse(frame.notificationId).success)
        throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'notificationId' });
      await parts.markAsRead(userId, frame.notificationId);
      return { reply: { type: 'ok' }, ids: [frame.notificationId] };
    case 'markAllAsRead':
      await parts.markAllAsRead(userId);
      return { reply: { type: 'ok' } };
    case 'getNotifications': {
      const page = await parts.inbox.page(userId, { limit: frame.limit ?? PAGE_DEFAULT, offset: frame.offset ?? 0 });
      return { reply: pageFrame(page, false), ids: idsOfPage(page) };
    }
    case 'authenticate':
      throw new CarillonError('BAD_MESSAGE');
  }
}
