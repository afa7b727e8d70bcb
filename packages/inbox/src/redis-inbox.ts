import { randomBytes } from 'node:crypto';
import { CarillonError, type InboxEvent, type Notification, toCarillonError } from '@carillon/contracts';
import { type Call, loadScript, type Outcome, type Redis, type Script, type Subscriber } from '@carillon/redis';
import type { PersonKey, Vault } from '@carillon/vault';
import type { Appended, Head, Inbox, InboxChange, InboxPage, PageRequest, Resumption } from './inbox.js';
import { fromCursor, type ItemState, toBody, toCursor, toNotification } from './item.js';

/** Bounds of every inbox. */
export interface InboxLimits {
  /** Notifications kept per user; the oldest go first. */
  readonly maxItems: number;
  /** How long a notification is kept, ms. */
  readonly retention: number;
}

/** Log entries kept per user, or a few more: what a client may miss and still catch up without reading its list again. */
export const LOG_MAX_ENTRIES = 500;
/** Sealed bytes one catch-up may have; above, a snapshot is cheaper than the replay. */
const REPLAY_MAX_BYTES = 512 * 1024;
/** How long the id of a removed item counts as appended before, ms: longer than a job can be tried, fail (kept 7 days) and be tried again. */
const REMEMBER_GONE_MS = 30 * 24 * 3600 * 1000;

const file = (name: string) => new URL(`../lua/${name}.lua`, import.meta.url);
const script = (name: string): Script => loadScript(file('log'), file(name));
const scripts = {
  append: script('append'),
  read: script('read'),
  readAll: script('read-all'),
  page: script('page'),
  since: script('since'),
  head: script('head'),
};

/**
 * Inboxes in Redis; see `Inbox` for what is promised. Bodies are sealed for their user.
 * `onRead` is told the ids that are read now, before the marking call resolves; what it throws, the call throws.
 */
export function createInbox(parts: {
  redis: Redis;
  vault: Vault;
  limits: InboxLimits;
  onRead?: (ids: readonly string[]) => Promise<void>;
}): Inbox {
  const { redis, vault, limits, onRead = async () => {} } = parts;
  const keysOf = redis.keys.inbox;
  const options = () => [
    Date.now(),
    limits.retention,
    limits.maxItems,
    LOG_MAX_ENTRIES,
    redis.cluster ? 'SPUBLISH' : 'PUBLISH',
    randomBytes(6).toString('hex'),
    REMEMBER_GONE_MS,
  ];
  const call = (userId: string, ...args: (string | number)[]): Call => ({ keys: keysOf(userId), args: [...options(), ...args] });
  const followers = createFollowers(redis, vault);

  return {
    async append(items) {
      try {
        const keys = await vault.people(
          items.map(({ userId }) => userId),
          'make',
        );
        const there = items.filter(({ userId }) => !keys.get(userId)?.isErasing);
        const calls = there.map((item): Call => {
          const sealed = (keys.get(item.userId) as PersonKey).seal('inbox', item.id, toBody(item));
          return { keys: keysOf(item.userId), args: [item.id, item.createdAt, sealed] };
        });
        const outcomes = new Map((await redis.batch<number>(scripts.append, options(), calls)).map((outcome, i) => [there[i], outcome]));
        return items.map((item) => toAppended(outcomes.get(item)));
      } catch (thrown) {
        return items.map(() => ({ ok: false, error: toCarillonError(thrown) }));
      }
    },
    async markAsRead(userId, notificationId) {
      const changed = await redis.run<number>(scripts.read, call(userId, notificationId));
      if (changed < 0) throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'notificationId' });
      // Told again for one that was read before: the first telling may have failed.
      await onRead([notificationId]);
    },
    async markAllAsRead(userId) {
      const ids = await redis.run<string[]>(scripts.readAll, call(userId));
      if (ids.length > 0) await onRead(ids);
    },
    async page(userId, request) {
      const [key, reply] = await Promise.all([
        vault.person(userId, 'leave'),
        redis.run<PageReply>(scripts.page, call(userId, ...pageArguments(request))),
      ]);
      const [epoch, offset, unreadCount, more, ...rows] = reply;
      return toPage({ epoch, offset, unreadCount }, more === 1, rows, opener(userId, key));
    },
    async head(userId) {
      const [epoch, offset, unreadCount] = await redis.run<[string, number, number]>(scripts.head, call(userId));
      return { epoch, offset, unreadCount };
    },
    async since(userId, position) {
      const [key, reply] = await Promise.all([
        vault.person(userId, 'leave'),
        redis.run<SinceReply>(scripts.since, call(userId, position.epoch, position.offset, REPLAY_MAX_BYTES)),
      ]);
      return toResumption(reply, opener(userId, key));
    },
    async forget(userId) {
      const [items, index, gone, head, log] = keysOf(userId);
      const count = await redis.command<number>('HLEN', items);
      await redis.command('DEL', items, index, gone, head, log);
      return count;
    },
    follow: followers.follow,
    onGap: followers.onGap,
    close: followers.close,
  };
}

type PageReply = [epoch: string, offset: number, unreadCount: number, more: number, ...rows: string[]];
type SinceReply = [all: number, epoch: string, offset: number, unreadCount: number, ...rows: string[]];
type Opener = (id: string, state: string, sealed: string) => Notification;

function parseState(state: string): ItemState {
  const [deliveredAt = 0, readAt = 0, seenAt = 0, archivedAt = 0] = state.split(',').map(Number);
  return { deliveredAt, readAt, seenAt, archivedAt };
}

/** One that cannot be opened is shown without its words, with the error's code. */
function opener(userId: string, key: PersonKey): Opener {
  return (id, state, sealed) => {
    try {
      return toNotification(userId, id, parseState(state), key.open('inbox', id, sealed));
    } catch (error) {
      return toNotification(userId, id, parseState(state), { error: toCarillonError(error).code });
    }
  };
}

function toAppended(outcome: Outcome<number> | undefined): Appended {
  if (!outcome) return { ok: true, value: 'erased' };
  return outcome.ok ? { ok: true, value: outcome.value === 1 ? 'stored' : 'repeated' } : outcome;
}

function pageArguments({ limit, offset = 0, cursor }: PageRequest): (string | number)[] {
  if (cursor === undefined) return [limit, offset, '', ''];
  const after = fromCursor(cursor);
  if (!after) throw new CarillonError('FIELD_INVALID', { field: 'cursor', message: 'cursor: is not one of ours' });
  return [limit, 0, after.createdAt, after.id];
}

function toPage(head: Head, more: boolean, rows: string[], open: Opener): InboxPage {
  const data: Notification[] = [];
  for (let i = 0; i < rows.length; i += 3) {
    const [id, , value] = rows.slice(i, i + 3) as [string, string, string];
    const bar = value.indexOf('|');
    if (bar > 0) data.push(open(id, value.slice(0, bar), value.slice(bar + 1)));
  }
  const [lastId, lastCreatedAt] = rows.slice(-3) as [string, string];
  return more ? { data, ...head, nextCursor: toCursor(Number(lastCreatedAt), lastId) } : { data, ...head };
}

function toResumption([all, epoch, offset, unreadCount, ...rows]: SinceReply, open: Opener): Resumption {
  const head = { epoch, offset, unreadCount };
  if (all !== 1) return { ...head, recovered: false };
  const changes: InboxChange[] = [];
  for (let i = 0; i < rows.length; i += 2) {
    const at = offset - rows.length / 2 + i / 2 + 1;
    changes.push(toChange(epoch, at, rows[i] as string, (id, state) => open(id, state, rows[i + 1] as string)));
  }
  return { ...head, recovered: true, changes };
}

/** Reads `event|id|unread count|state`, which is how the log tells a change. */
function toChange(epoch: string, offset: number, change: string, open: (id: string, state: string) => Notification): InboxChange {
  const [event, id, unread, state] = change.split('|', 4) as [string, string, string, string];
  const head = { epoch, offset, unreadCount: Number(unread) };
  if (event === 'allRead') return { ...head, event, upTo: Number(id) };
  if (event === 'deleted') return { ...head, event, id };
  return { ...head, event: event as Exclude<InboxEvent, 'deleted'>, notification: open(id, state) };
}

/** Who follows a user, with the user's key: announcements are opened at once. */
interface Following {
  readonly userId: string;
  readonly listener: (change: InboxChange) => void;
  readonly onRevoked: ((since: number) => void) | undefined;
  readonly open: Opener;
}

/** Before the time since when tokens count, in an announcement that those of before are revoked. */
const REVOKED = 'revoked|';

/** Live announcements: one subscriber connection a process, opened when the first user is followed. */
function createFollowers(redis: Redis, vault: Vault) {
  const followed = new Map<string, Following>();
  const gapListeners: (() => void)[] = [];
  let connecting: Promise<Subscriber> | undefined;

  const hear = (channel: string, message: string) => {
    const following = followed.get(channel);
    if (!following) return;
    if (message.startsWith(REVOKED)) return following.onRevoked?.(Number(message.slice(REVOKED.length)));
    // epoch|offset|event|id|unread count|state|sealed
    const afterEpoch = message.indexOf('|');
    const afterOffset = message.indexOf('|', afterEpoch + 1);
    const beforeSealed = message.lastIndexOf('|');
    const change = message.slice(afterOffset + 1, beforeSealed);
    const offset = Number(message.slice(afterEpoch + 1, afterOffset));
    const openBody = (id: string, state: string) => following.open(id, state, message.slice(beforeSealed + 1));
    following.listener(toChange(message.slice(0, afterEpoch), offset, change, openBody));
  };
  const connect = async () => {
    const subscriber = await redis.subscriber();
    subscriber.onMessage(hear);
    subscriber.onGap(() => {
      for (const listener of gapListeners) listener();
    });
    return subscriber;
  };
  const subscriber = () => {
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
      const own: Following = { userId, listener, onRevoked, open: opener(userId, key) };
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
      followed.clear();
      await (await connecting?.catch(() => undefined))?.close();
    },
  };
}
