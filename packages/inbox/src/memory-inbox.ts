import { randomUUID } from 'node:crypto';
import { CarillonError, type InboxEvent } from '@carillon/contracts';
import type { Head, Inbox, InboxChange } from './inbox.js';
import { fromCursor, type ItemState, toBody, toCursor, toNotification } from './item.js';
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
  const trim = (userId: string, user: User) => {
    const kept = newestFirst(user);
    const tooOld = Date.now() - limits.retention;
    for (const item of kept.filter((item, index) => index >= limits.maxItems || item.createdAt < tooOld).reverse()) {
      user.items.delete(item.id);
      record(userId, user, (head) => ({ ...head, event: 'deleted', id: item.id }));
    }
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
    async markAsRead(userId, notificationId) {
      const user = userOf(userId);
      const item = user.items.get(notificationId);
      if (!item) throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'notificationId' });
      if (!item.state.readAt) {
        item.state = { ...item.state, readAt: Date.now() };
        recordItem(userId, user, 'read', item);
      }
      await onRead([notificationId]);
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
    async page(userId, { limit, offset = 0, cursor }) {
      const user = userOf(userId);
      trim(userId, user);
      const after = cursor === undefined ? undefined : fromCursor(cursor);
      if (cursor !== undefined && !after)
        throw new CarillonError('FIELD_INVALID', { field: 'cursor', message: 'cursor: is not one of ours' });
      const all = newestFirst(user).filter(
        (item) => !after || item.createdAt < after.createdAt || (item.createdAt === after.createdAt && item.id < after.id),
      );
      const rows = all.slice(offset, offset + limit);
      const last = rows.at(-1);
      const data = rows.map((item) => show(userId, item));
      const more = all.length > offset + limit && last !== undefined;
      return more ? { data, ...headOf(user), nextCursor: toCursor(last.createdAt, last.id) } : { data, ...headOf(user) };
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
