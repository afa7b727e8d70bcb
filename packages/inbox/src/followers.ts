import { CarillonError } from '@carillon/contracts';
import type { Redis, Subscriber } from '@carillon/redis';
import type { Vault } from '@carillon/vault';
import type { InboxChange } from './inbox.js';
import { type Opener, opener, toChange } from './opening.js';

/** Who follows a user, with the user's key: announcements are opened at once. */
interface Following {
  readonly userId: string;
  readonly listener: (change: InboxChange) => void;
  readonly onRevoked: ((since: number) => void) | undefined;
  open: Opener;
  /** Announcements that wait while the user's key is read anew; undefined while it is not. */
  waiting: string[] | undefined;
}

/** Before the time since when tokens count, in an announcement that those of before are revoked. */
const REVOKED = 'revoked|';
/** Announcements that wait for one user's key; whoever follows reads what comes beyond it from the log. */
const WAITING_MAX = 256;

/** Live announcements: one subscriber connection a process, opened when the first user is followed. */
export function createFollowers(redis: Redis, vault: Pick<Vault, 'person'>) {
  const followed = new Map<string, Following>();
  const gapListeners: (() => void)[] = [];
  let connecting: Promise<Subscriber> | undefined;
  let isClosed = false;

  const hear = (channel: string, message: string) => {
    const following = followed.get(channel);
    if (!following) return;
    if (message.startsWith(REVOKED)) return following.onRevoked?.(Number(message.slice(REVOKED.length)));
    if (following.waiting) {
      if (following.waiting.length < WAITING_MAX) following.waiting.push(message);
      return;
    }
    const change = read(message, following.open);
    if (isReadable(change)) following.listener(change);
    else void renew(channel, following, message);
  };
  /** Reads the key anew, for a change that did not open: the user may have been erased and have come back. What comes meanwhile waits its turn. */
  const renew = async (channel: string, following: Following, message: string) => {
    following.waiting = [message];
    const key = await vault.person(following.userId, 'leave').catch(() => undefined);
    const waiting = following.waiting;
    following.waiting = undefined;
    // Without a key store the changes are left to be read from the log, which can wait for it.
    if (!key || followed.get(channel) !== following) return;
    following.open = opener(following.userId, key);
    for (const one of waiting) following.listener(read(one, following.open));
  };
  const connect = async () => {
    const subscriber = await redis.subscriber();
    subscriber.onMessage(hear);
    subscriber.onGap(() => {
      for (const listener of gapListeners) listener();
    });
    return subscriber;
  };
  const subscriber = async () => {
    if (isClosed) throw new CarillonError('REDIS_UNAVAILABLE');
    connecting ??= connect().catch((error) => {
      connecting = undefined;
      throw error;
    });
    return connecting;
  };

  return {
    async follow(userId: string, listener: (change: InboxChange) => void, onRevoked?: (since: number) => void) {
      const channel = redis.keys.inboxChannel(userId);
      // Also for a user of whom nothing is known yet: the key is there before anything can be announced.
      const key = await vault.person(userId, 'make');
      if (key.isErasing) throw new CarillonError('ERASURE_UNDER_WAY', { field: 'userId' });
      const own: Following = { userId, listener, onRevoked, open: opener(userId, key), waiting: undefined };
      followed.set(channel, own);
      try {
        await (await subscriber()).subscribe(channel);
      } catch (error) {
        if (followed.get(channel) === own) followed.delete(channel);
        throw error;
      }
      return async () => {
        // Somebody who follows anew meanwhile keeps the subscription.
        if (followed.get(channel) !== own) return;
        followed.delete(channel);
        await (await subscriber()).unsubscribe(channel);
        if (followed.has(channel)) await (await subscriber()).subscribe(channel);
      };
    },
    onGap(listener: () => void) {
      gapListeners.push(listener);
    },
    async close() {
      isClosed = true;
      followed.clear();
      await (await connecting?.catch(() => undefined))?.close();
    },
  };
}

/** Reads an announcement: `epoch|offset|event|id|unread count|state|sealed`. */
function read(message: string, open: Opener): InboxChange {
  const afterEpoch = message.indexOf('|');
  const afterOffset = message.indexOf('|', afterEpoch + 1);
  const beforeSealed = message.lastIndexOf('|');
  const change = message.slice(afterOffset + 1, beforeSealed);
  const offset = Number(message.slice(afterEpoch + 1, afterOffset));
  return toChange(message.slice(0, afterEpoch), offset, change, (id, state) => open(id, state, message.slice(beforeSealed + 1)));
}

function isReadable(change: InboxChange): boolean {
  return !('notification' in change) || change.notification.error === null;
}
