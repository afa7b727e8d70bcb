import { randomUUID } from 'node:crypto';
import { CarillonError, type InboxEvent, type InboxFilter, type InboxMark, type Notification } from '@carillon/contracts';
import type { Head, Inbox, InboxChange } from './inbox.js';
import { type ItemState, marked, tellsRead, toBody, toNotification } from './item.js';
import { type Place, readPage } from './paging.js';
import { type InboxLimits, LOG_MAX_ENTRIES } from './redis-inbox.js';

interface Item {
  id: string;
  createdAt: number;
  body: string;
  state: ItemState;
}

interface User {
  readonly epoch: string;
  offset: number;
  readonly items: Map<string, Item>;
  readonly seenIds: Set<string>;
  log: InboxChange[];
}

const isBehind = (item: Place, after: Place) =>
  item.createdAt < after.createdAt || (item.createdAt === after.createdAt && item.id < after.id);

/** Whether a filter leaves an item, as far as that is said without its body. */
function isLeft({ createdAt, state }: Item, { unread, archived, since }: InboxFilter): boolean {
  return (
    (unread === undefined || unread === !state.readAt) &&
    (archived === undefined || archived === Boolean(state.archivedAt)) &&
    (since === undefined || createdAt >= since)
  );
}

/** Inboxes in the memory of this process, for tests and trials: the same promises, nothing kept. */
export function createMemoryInbox(limits: InboxLimits, onRead: (ids: readonly string[]) => Promise<void> = async () => {}): Inbox {
  const users = new Map<string, User>();
  const followers = new Map<string, (change: InboxChange) => void>();

  const userOf = (userId: string): User => {
    const user = users.get(userId) ?? { epoch: randomUUID(), offset: 0, items: new Map(), seenIds: new Set(), log: [] };
    users.set(userId, user);
    return user;
  };
  const unreadOf = (user: User) => [...user.items.values()].filter((item) => !item.state.readAt);
  const headOf = (user: User): Head => ({ epoch: user.epoch, offset: user.offset, unreadCount: unreadOf(user).length });
  const newestFirst = (user: User) =>
    [...user.items.values()].sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
  const show = (userId: string, item: Item) => toNotification(userId, item.id, item.state, item.body);

  const record = (userId: string, user: User, change: (head: Head) => InboxChange) => {
    user.offset++;
    const made = change(headOf(user));
    user.log = [...user.log, made].slice(-LOG_MAX_ENTRIES);
    followers.get(userId)?.(made);
  };
  const recordItem = (userId: string, user: User, event: Exclude<InboxEvent, 'deleted'>, item: Item) =>
    record(userId, user, (head) => ({ ...head, event, notification: show(userId, item) }));
  const itemOf = (user: User, id: string): Item => {
    const item = user.items.get(id);
    if (!item) throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'notificationId' });
    return item;
  };
  const drop = (userId: string, user: User, { id }: Item) => {
    user.items.delete(id);
    record(userId, user, (head) => ({ ...head, event: 'deleted', id }));
  };
  const trim = (userId: string, user: User) => {
    const kept = newestFirst(user);
    const tooOld = Date.now() - limits.retention;
    for (const item of kept.filter((item, index) => index >= limits.maxItems || item.createdAt < tooOld).reverse())
      drop(userId, user, item);
  };
  const mark = async (userId: string, notificationId: string, mark: InboxMark): Promise<Notification> => {
    const user = userOf(userId);
    const item = itemOf(user, notificationId);
    const state = marked(item.state, mark, Date.now());
    if (state !== item.state) {
      item.state = state;
      recordItem(userId, user, mark, item);
    }
    if (tellsRead(mark, state)) await onRead([notificationId]);
    return show(userId, item);
  };

  return {
    async append(items) {
      return items.map((item) => {
        const user = userOf(item.userId);
        if (user.seenIds.has(item.id)) return { ok: true, value: 'repeated' };
        user.seenIds.add(item.id);
        const stored: Item = {
          id: item.id,
          createdAt: item.createdAt,
          body: toBody(item),
          state: { deliveredAt: Date.now(), readAt: 0, seenAt: 0, archivedAt: 0 },
        };
        user.items.set(item.id, stored);
        recordItem(item.userId, user, 'new', stored);
        trim(item.userId, user);
        return { ok: true, value: 'stored' };
      });
    },
    mark,
    async markAsRead(userId, notificationId) {
      await mark(userId, notificationId, 'read');
    },
    async remove(userId, notificationId) {
      const user = userOf(userId);
      drop(userId, user, itemOf(user, notificationId));
    },
    async markAllAsRead(userId) {
      const user = userOf(userId);
      const unread = unreadOf(user);
      if (unread.length === 0) return;
      const upTo = Date.now();
      for (const item of unread) item.state = { ...item.state, readAt: upTo };
      record(userId, user, (head) => ({ ...head, event: 'allRead', upTo }));
      await onRead(unread.map((item) => item.id));
    },
    async page(userId, request) {
      const user = userOf(userId);
      trim(userId, user);
      return readPage(request, async ({ want, skip, after }) => {
        const left = newestFirst(user).filter((item) => isLeft(item, request) && (!after || isBehind(item, after)));
        const rows = left.slice(skip, skip + want).map((item) => ({ ...item, open: () => show(userId, item) }));
        const { createdAt, id } = rows.at(-1) ?? { createdAt: 0, id: '' };
        return { head: headOf(user), skip: 0, isEnd: left.length <= skip + want, last: { createdAt, id }, rows };
      });
    },
    async head(userId) {
      return headOf(userOf(userId));
    },
    async since(userId, { epoch, offset }) {
      const user = userOf(userId);
      const changes = user.log.filter((change) => change.offset > offset);
      const whole = epoch === user.epoch && offset <= user.offset && changes.length === user.offset - offset;
      return whole ? { ...headOf(user), recovered: true, changes } : { ...headOf(user), recovered: false };
    },
    async follow(userId, listener) {
      followers.set(userId, listener);
      return async () => {
        if (followers.get(userId) === listener) followers.delete(userId);
      };
    },
    onGap() {},
    // Nothing is sealed here, and nothing restored.
    purge: async () => 0,
    async forget(userId) {
      const count = users.get(userId)?.items.size ?? 0;
      users.delete(userId);
      return count;
    },
    async close() {
      followers.clear();
    },
  };
}
