/** A text that tells a count where it says `#`: one per form of the language's plural (Intl.PluralRules), or what makes it. */
export type Plural = ((count: number) => string) | ({ readonly other: string } & { readonly [form in Intl.LDMLPluralRule]?: string });

/** All words of the inbox. */
export interface Labels {
  /** Title of the panel, and the first part of the bell's name. */
  readonly notifications: string;
  /** The second part of the bell's name. */
  readonly unreadCount: Plural;
  /** Read to users of screen readers when notifications arrive. */
  readonly arrived: Plural;
  readonly all: string;
  readonly unread: string;
  readonly archived: string;
  readonly markAllAsRead: string;
  readonly markAsRead: string;
  readonly markAsUnread: string;
  readonly archive: string;
  readonly unarchive: string;
  readonly delete: string;
  readonly loadMore: string;
  readonly loading: string;
  readonly empty: string;
  /** The connection is lost and will be back. */
  readonly offline: string;
  /** The connection is lost for good. */
  readonly ended: string;
  readonly failed: string;
  readonly preferences: string;
  readonly back: string;
  readonly close: string;
  readonly mute: string;
  readonly channels: string;
  readonly in_app: string;
  readonly email: string;
  readonly push: string;
  readonly sms: string;
  readonly categories: string;
}

export const ENGLISH: Labels = {
  notifications: 'Notifications',
  unreadCount: { other: '# unread' },
  arrived: { one: '# new notification', other: '# new notifications' },
  all: 'All',
  unread: 'Unread',
  archived: 'Archived',
  markAllAsRead: 'Mark all as read',
  markAsRead: 'Mark as read',
  markAsUnread: 'Mark as unread',
  archive: 'Archive',
  unarchive: 'Move to inbox',
  delete: 'Delete',
  loadMore: 'Load more',
  loading: 'Loading…',
  empty: 'Nothing here.',
  offline: 'Offline. Reconnecting…',
  ended: 'Disconnected. Please reload the page.',
  failed: 'That did not work. Please try again.',
  preferences: 'Preferences',
  back: 'Back',
  close: 'Close',
  mute: 'Mute all notifications',
  channels: 'Channels',
  in_app: 'In this app',
  email: 'Email',
  push: 'Push',
  sms: 'Text message',
  categories: 'Categories',
};

/** The text for a count in a language, the reader's if none is named. */
export function counted(plural: Plural, count: number, locale?: string): string {
  if (typeof plural === 'function') return plural(count);
  const form = new Intl.PluralRules(locale).select(count);
  return (plural[form] ?? plural.other).replace('#', count.toLocaleString(locale));
}
