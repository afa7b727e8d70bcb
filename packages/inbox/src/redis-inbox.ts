import { randomBytes } from 'node:crypto';
import { CarillonError, type InboxEvent, type Notification, toCarillonError } from '@carillon/contracts';
import { type Call, loadScript, type Redis, type Script, type Subscriber } from '@carillon/redis';
import type { Vault } from '@carillon/vault';
import type { Head, Inbox, InboxChange, InboxPage, PageRequest, Resumption } from './inbox.js';
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
  const notification = (userId: string, id: string, state: string, sealed: string) => openNotification(vault, userId, id, state, sealed);
  const followers = createFollowers(redis, notification);

  return {
    async append(items) {
      const calls = items.map(
        (item): Call => ({ keys: keysOf(item.userId), args: [item.id, item.createdAt, vault.seal('inbox', item.userId, toBody(item))] }),
      );
      const outcomes = await redis.batch<number>(scripts.append, options(), calls);
      return outcomes.map((outcome) => (outcome.ok ? { ok: true, value: outcome.value === 1 ? 'stored' : 'repeated' } : outcome));
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
      const [epoch, offset, unreadCount, more, ...rows] = await redis.run<PageReply>(scripts.page, call(userId, ...pageArguments(request)));
      return toPage({ epoch, offset, unreadCount }, more === 1, rows, (id, state, sealed) => notification(userId, id, state, sealed));
    },
    async head(userId) {
      const [epoch, offset, unreadCount] = await redis.run<[string, number, number]>(scripts.head, call(userId));
      return { epoch, offset, unreadCount };
    },
    async since(userId, position) {
      const reply = await redis.run<SinceReply>(scripts.since, call(userId, position.epoch, position.offset, REPLAY_MAX_BYTES));
      return toResumption(reply, (id, state, sealed) => notification(userId, id, state, sealed));
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

function openNotification(vault: Vault, userId: string, id: string, state: string, sealed: string): Notification {
  try {
    return toNotification(userId, id, parseState(state), vault.open('inbox', userId, sealed));
  } catch (error) {
    return toNotification(userId, id, parseState(state), { error: toCarillonError(error).code });
  }
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

/** Live announcements: one subscriber connection a process, opened when the first user is followed. */
function createFollowers(redis: Redis, open: (userId: string, id: string, state: string, sealed: string) => Notification) {
  const followed = new Map<string, { userId: string; listener: (change: InboxChange) => void }>();
  const gapListeners: (() => void)[] = [];
  let connecting: Promise<Subscriber> | undefined;

  const hear = (channel: string, message: string) => {
    const follower = followed.get(channel);
    if (!follower) return;
    // epoch|offset|event|id|unread count|state|sealed
    const afterEpoch = message.indexOf('|');
    const afterOffset = message.indexOf('|', afterEpoch + 1);
    const beforeSealed = message.lastIndexOf('|');
    const change = message.slice(afterOffset + 1, beforeSealed);
    const offset = Number(message.slice(afterEpoch + 1, afterOffset));
    const openBody = (id: string, state: string) => open(follower.userId, id, state, message.slice(beforeSealed + 1));
    follower.listener(toChange(message.slice(0, afterEpoch), offset, change, openBody));
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
    async follow(userId: string, listener: (change: InboxChange) => void) {
      const channel = redis.keys.inboxChannel(userId);
      const own = { userId, listener };
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
