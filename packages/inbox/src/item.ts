import type { ChannelItem, InboxMark, Notification } from '@carillon/contracts';

/** What happens to a notification in the inbox, in ms since the epoch; 0 for never. */
export interface ItemState {
  readonly deliveredAt: number;
  readonly readAt: number;
  readonly seenAt: number;
  readonly archivedAt: number;
}

/** Reads a state as the scripts write it. */
export function parseState(state: string): ItemState {
  const [deliveredAt = 0, readAt = 0, seenAt = 0, archivedAt = 0] = state.split(',').map(Number);
  return { deliveredAt, readAt, seenAt, archivedAt };
}

/** The state after a mark at a time (ms since the epoch); the same object if it is so already. `mark.lua` does the same. */
export function marked(state: ItemState, mark: InboxMark, now: number): ItemState {
  switch (mark) {
    case 'read':
      return state.readAt ? state : { ...state, readAt: now };
    case 'unread':
      return state.readAt ? { ...state, readAt: 0 } : state;
    case 'seen':
      return state.seenAt ? state : { ...state, seenAt: now };
    case 'archived':
      return state.archivedAt ? state : { ...state, archivedAt: now, readAt: state.readAt || now };
    case 'unarchived':
      return state.archivedAt ? { ...state, archivedAt: 0 } : state;
  }
}

/** Whether whoever waits for it to be read is told: also when it was read before, since the first telling may have failed. */
export function tellsRead(mark: InboxMark, { readAt }: ItemState): boolean {
  return (mark === 'read' || mark === 'archived') && readAt > 0;
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
