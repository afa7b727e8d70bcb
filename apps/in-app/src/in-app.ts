import type { Channel } from '@carillon/channel';
import { channelDefinition } from '@carillon/contracts';
import type { Inbox } from '@carillon/inbox';

/** Jobs worked on at once per partition: each is one round trip for up to a hundred notifications. */
export const IN_APP_CONCURRENCY = 8;

/** The in-app channel: a delivery is an append to the user's inbox, which shows an id once and announces it. */
export function createInAppChannel(inbox: Inbox): Channel {
  return {
    definition: channelDefinition('in_app'),
    async deliver(items) {
      const appended = await inbox.append(items);
      return appended.map((result) => (result.ok ? { ok: true, status: 'delivered' } : result));
    },
  };
}
