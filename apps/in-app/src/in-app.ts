import type { Channel, ChannelModule } from '@carillon/channel';
import { inApp as definition } from '@carillon/contracts';
import { createInbox, type Inbox } from '@carillon/inbox';

/** The in-app channel over an inbox: a delivery is an append, which shows an id once and announces it. */
export function createInAppChannel(inbox: Pick<Inbox, 'append'>): Channel {
  return {
    definition,
    async deliver(items) {
      const appended = await inbox.append(items);
      return appended.map((result) => (result.ok ? { ok: true, status: 'delivered' } : result));
    },
  };
}

/** The in-app channel: it has no provider. */
export const inApp: ChannelModule = {
  definition,
  // Each job is one round trip for up to a hundred notifications.
  concurrency: 8,
  open({ config, redis, vault }) {
    const inbox = createInbox({ redis, vault, limits: { maxItems: config.inboxMax, retention: config.retentionInbox } });
    return { ...createInAppChannel(inbox), close: inbox.close };
  },
};
