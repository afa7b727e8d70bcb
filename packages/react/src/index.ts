'use client';
/** An inbox for React 18 and 19: the component, and the hooks it is made of. */
export { Inbox, type InboxProps } from './inbox.js';
export type { Labels, Plural } from './labels.js';
export type { InboxTab } from './panel.js';
export { CarillonProvider, type CarillonProviderProps, useCarillon, useUnreadCount } from './provider.js';
export { type InboxActions, type NotificationList, useNotifications } from './use-notifications.js';
export { type PreferencesState, usePreferences } from './use-preferences.js';
