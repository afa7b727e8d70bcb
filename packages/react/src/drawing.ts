import type { Notification } from '@carillon/client';
import type { MouseEvent, ReactNode } from 'react';
import type { Labels } from './labels.js';
import type { InboxActions } from './use-notifications.js';

/** How notifications are drawn. */
export interface Drawing {
  readonly labels: Labels;
  readonly locale: string | undefined;
  /** Hears of a notification that is opened; `event.preventDefault()` keeps the browser from following its link. */
  readonly onNotificationClick?: ((notification: Notification, event: MouseEvent) => void) | undefined;
  /** What an item shows, in place of what it would. */
  readonly renderNotification?: ((notification: Notification, actions: InboxActions) => ReactNode) | undefined;
}
