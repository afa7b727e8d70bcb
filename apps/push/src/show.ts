import type { Message } from '@carillon/channel';
import type { Priority } from '@carillon/contracts';

/** What a device is told, whichever way it is reached. */
export interface Shown {
  readonly title: string;
  readonly body: string;
  /** Where a tap leads; empty for nowhere in particular. */
  readonly url: string;
  readonly notificationId: string;
}

export function shownOf({ item }: Message): Shown {
  const { title = '', body = '', url = '' } = item.content;
  return { title, body, url, notificationId: item.id };
}

/** RFC 8030, 5.3. */
export function urgencyOf(priority: Priority): 'low' | 'normal' | 'high' {
  return priority === 'urgent' ? 'high' : priority;
}
