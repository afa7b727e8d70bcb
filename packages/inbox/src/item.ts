import type { ChannelItem, Notification } from '@carillon/contracts';

/** What happens to a notification in the inbox, in ms since the epoch; 0 for never. */
export interface ItemState {
  readonly deliveredAt: number;
  readonly readAt: number;
  readonly seenAt: number;
  readonly archivedAt: number;
}

/** What is stored sealed: everything of the item but its id and its user, which are in the keys. */
export function toBody(item: ChannelItem): string {
  const { id: _id, userId: _userId, ...body } = item;
  return JSON.stringify(body);
}

/** The notification as its recipient sees it. A body that cannot be opened is shown empty, with the error's code, so that it harms no other. */
export function toNotification(userId: string, id: string, state: ItemState, body: string | { error: string }): Notification {
  const item = typeof body === 'string' ? (JSON.parse(body) as Omit<ChannelItem, 'id' | 'userId'>) : undefined;
  return {
    id,
    userId,
    templateId: item?.templateId ?? '',
    title: item?.content.title ?? '',
    body: item?.content.body ?? '',
    data: item?.data ?? {},
    channels: item?.channels ?? [],
    priority: item?.priority ?? 'normal',
    category: item?.category ?? null,
    threadId: item?.threadId ?? null,
    tags: item?.tags ?? [],
    url: item?.url ?? null,
    status: state.readAt ? 'read' : 'delivered',
    createdAt: item?.createdAt ?? state.deliveredAt,
    deliveredAt: state.deliveredAt || null,
    readAt: state.readAt || null,
    seenAt: state.seenAt || null,
    archivedAt: state.archivedAt || null,
    error: typeof body === 'string' ? null : body.error,
  };
}

/** A cursor: the last item of a page, opaque to clients. */
export function toCursor(createdAt: number, id: string): string {
  return Buffer.from(`${createdAt}~${id}`).toString('base64url');
}

/** Reads a cursor; undefined if it is none. */
export function fromCursor(cursor: string): { createdAt: number; id: string } | undefined {
  const match = /^(\d{1,16})~(.{1,64})$/.exec(Buffer.from(cursor, 'base64url').toString());
  return match ? { createdAt: Number(match[1]), id: match[2] as string } : undefined;
}
