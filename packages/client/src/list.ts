import type { Filter, Notification } from './notification.js';

/** What a server tells of one change of the inbox. */
export type Change =
  | { type: 'notification'; event: 'deleted'; data: { id: string }; offset: number; unreadCount: number }
  | { type: 'notification'; event: 'new' | 'updated'; data: Notification; offset: number; unreadCount: number }
  | { type: 'allRead'; data: { upTo: number }; offset: number; unreadCount: number };

/** What belongs to a list: what its filter leaves, down to `floor`, the last that was fetched; all of it without one. */
export interface Range {
  readonly filter: Filter;
  readonly floor?: Notification | undefined;
}

/** Whether `a` stands above `b`: the server's order, newest first. */
export const isAbove = (a: Notification, b: Notification): boolean =>
  a.createdAt === b.createdAt ? a.id > b.id : a.createdAt > b.createdAt;

const fits = (filter: Filter, is: Notification) => {
  const has: Record<string, unknown> = { ...is, unread: !is.readAt, archived: !!is.archivedAt };
  return Object.entries(filter).every(
    ([name, asked]) =>
      asked === undefined || (name === 'tag' ? is.tags.includes(asked) : name === 'since' ? asked <= is.createdAt : asked === has[name]),
  );
};

/** The list with some notifications as they are now, or without them. The same array if it makes no difference to which are there. */
export function place(
  { filter, floor }: Range,
  items: readonly Notification[],
  changed: ReadonlyMap<string, Notification | undefined>,
): readonly Notification[] {
  const others = items.filter(({ id }) => !changed.has(id));
  const added = [...changed.values()].filter((now) => now && fits(filter, now) && !(floor && isAbove(floor, now))) as Notification[];
  if (!added[0] && others.length === items.length) return items;
  return [...others, ...added].sort((a, b) => (isAbove(a, b) ? -1 : 1));
}

/** One as read at a time; as it is if it was. */
export const asRead = (is: Notification, at: number): Notification => (is.readAt ? is : { ...is, readAt: at, status: 'read' });
