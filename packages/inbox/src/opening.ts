import { type InboxEvent, type Notification, toCarillonError } from '@carillon/contracts';
import type { PersonKey } from '@carillon/vault';
import type { InboxChange } from './inbox.js';
import { parseState, toNotification } from './item.js';

/** Makes a notification of what is kept of an item. */
export type Opener = (id: string, state: string, sealed: string) => Notification;

/** Opens what is sealed for a user; one that cannot be opened is shown without its words, with the error's code. */
export function opener(userId: string, key: PersonKey): Opener {
  return (id, state, sealed) => {
    try {
      return toNotification(userId, id, parseState(state), key.open('inbox', id, sealed));
    } catch (error) {
      return toNotification(userId, id, parseState(state), { error: toCarillonError(error).code });
    }
  };
}

/** Reads `event|id|unread count|state`, which is how the log tells a change. */
export function toChange(epoch: string, offset: number, change: string, open: (id: string, state: string) => Notification): InboxChange {
  const [event, id, unread, state] = change.split('|', 4) as [string, string, string, string];
  const head = { epoch, offset, unreadCount: Number(unread) };
  if (event === 'allRead') return { ...head, event, upTo: Number(id) };
  if (event === 'deleted') return { ...head, event, id };
  return { ...head, event: event as Exclude<InboxEvent, 'deleted'>, notification: open(id, state) };
}
