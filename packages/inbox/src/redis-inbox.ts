import { randomBytes } from 'node:crypto';
import { CarillonError, type ChannelItem, type InboxFilter, type InboxMark, toCarillonError } from '@carillon/contracts';
import { type Call, loadScript, type Outcome, type Redis, type Script } from '@carillon/redis';
import type { PersonKey, Vault } from '@carillon/vault';
import { createFollowers } from './followers.js';
import type { Appended, Inbox, InboxChange, Resumption } from './inbox.js';
import { parseState, tellsRead, toBody } from './item.js';
import { type Opener, opener, toChange } from './opening.js';
import { type Row, readPage, type Stretch, type StretchRead } from './paging.js';

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
/** Items removed by one call of a script: bounds how long Redis is busy with it. */
const PURGE_AT_ONCE = 100;
/** Items one call of the script looks at for a page, or as many as the page holds: bounds how long Redis is busy with it. */
const LOOKED_AT_ONCE = 200;
/** How long the id of a removed item counts as appended before, ms: longer than a job can be tried, fail (kept 7 days) and be tried again. */
const REMEMBER_GONE_MS = 30 * 24 * 3600 * 1000;

const file = (name: string) => new URL(`../lua/${name}.lua`, import.meta.url);
const script = (name: string): Script => loadScript(file('log'), file(name));
const scripts = {
  append: script('append'),
  mark: script('mark'),
  readAll: script('read-all'),
  allTold: script('all-told'),
  page: script('page'),
  since: script('since'),
  head: script('head'),
  purge: script('purge'),
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
  const marking = async (userId: string, id: string, mark: InboxMark): Promise<readonly [state: string, sealed: string]> => {
    const [state, sealed] = await redis.run<Partial<[string, string]>>(scripts.mark, call(userId, id, mark));
    if (state === undefined || sealed === undefined) throw notFound();
    if (tellsRead(mark, parseState(state))) await onRead([id]);
    return [state, sealed];
  };

  return {
    async append(items) {
      try {
        const keys = await vault.people(
          items.map(({ userId }) => userId),
          'make',
        );
        const sealed = items.map((item) => sealItem(keys.get(item.userId) as PersonKey, item));
        const calls: Call[] = [];
        for (const [i, { id, userId, createdAt }] of items.entries()) {
          const text = sealed[i];
          if (typeof text === 'string') calls.push({ keys: keysOf(userId), args: [id, createdAt, text] });
        }
        const outcomes = (await redis.batch<number>(scripts.append, options(), calls)).values();
        return sealed.map((one) => (typeof one === 'string' ? toAppended(outcomes.next().value as Outcome<number>) : one));
      } catch (thrown) {
        return items.map(() => ({ ok: false, error: toCarillonError(thrown) }));
      }
    },
    async markAsRead(userId, notificationId) {
      await marking(userId, notificationId, 'read');
    },
    async mark(userId, notificationId, mark) {
      // The key first: without it the change is not made either.
      const open = opener(userId, await vault.person(userId, 'leave'));
      const [state, sealed] = await marking(userId, notificationId, mark);
      return open(notificationId, state, sealed);
    },
    async remove(userId, notificationId) {
      const removed = await redis.run<number>(scripts.purge, call(userId, notificationId));
      if (removed === 0) throw notFound();
    },
    async markAllAsRead(userId) {
      const [upTo, ...ids] = await redis.run<string[]>(scripts.readAll, call(userId));
      if (upTo === undefined) return;
      if (ids.length > 0) await onRead(ids);
      // Should this fail, they are told once more, which harms nobody; were it left out, by every call that marks nothing.
      await redis.run(scripts.allTold, call(userId, upTo)).catch(() => {});
    },
    async page(userId, request) {
      let open: Opener | undefined;
      return readPage(request, async (stretch) => {
        const [key, reply] = await Promise.all([
          vault.person(userId, 'leave'),
          redis.run<PageReply>(scripts.page, call(userId, ...stretchArguments(stretch, request))),
        ]);
        open ??= opener(userId, key);
        return toStretch(reply, open);
      });
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
    async purge(userId) {
      const [items] = keysOf(userId);
      const [key, values] = await Promise.all([vault.person(userId, 'leave'), redis.command<string[]>('HGETALL', items)]);
      const erased = erasedAmong(key, values);
      let count = 0;
      for (let at = 0; at < erased.length; at += PURGE_AT_ONCE) {
        count += await redis.run<number>(scripts.purge, call(userId, ...erased.slice(at, at + PURGE_AT_ONCE)));
      }
      return count;
    },
    follow: followers.follow,
    onGap: followers.onGap,
    close: followers.close,
  };
}

const notFound = () => new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'notificationId' });

type PageReply = [
  epoch: string,
  offset: number,
  unreadCount: number,
  skip: number,
  isEnd: number,
  lastCreatedAt: string,
  lastId: string,
  ...rows: string[],
];
type SinceReply = [all: number, epoch: string, offset: number, unreadCount: number, ...rows: string[]];

/** An item's body, sealed, or how the item ends without: one that cannot be sealed fails alone. */
function sealItem(key: PersonKey, item: ChannelItem): string | Appended {
  // From before the erasure: whoever still had it opened then must not bring it back.
  if (key.isErasing || item.createdAt <= key.erasedAt) return { ok: true, value: 'erased' };
  try {
    return key.seal('inbox', item.id, toBody(item));
  } catch (thrown) {
    return { ok: false, error: toCarillonError(thrown) };
  }
}

/** Ids of the items that were sealed before their user was erased, among items as HGETALL gives them. */
function erasedAmong(key: PersonKey, values: readonly string[]): string[] {
  const erased: string[] = [];
  for (let i = 0; i < values.length; i += 2) {
    const [id, value] = [values[i] as string, values[i + 1] as string];
    try {
      key.open('inbox', id, value.slice(value.indexOf('|') + 1));
    } catch (error) {
      if (toCarillonError(error).code === 'PERSON_ERASED') erased.push(id);
    }
  }
  return erased;
}

function toAppended(outcome: Outcome<number>): Appended {
  return outcome.ok ? { ok: true, value: outcome.value === 1 ? 'stored' : 'repeated' } : outcome;
}

function stretchArguments({ want, skip, after }: Stretch, { unread, archived, since }: InboxFilter): (string | number)[] {
  const flag = (value: boolean | undefined) => (value === undefined ? '' : Number(value));
  const behind = after ? [after.createdAt, after.id] : ['', ''];
  return [want, skip, Math.max(LOOKED_AT_ONCE, want), ...behind, flag(unread), flag(archived), since ?? ''];
}

function toStretch(reply: PageReply, open: Opener): StretchRead {
  const [epoch, offset, unreadCount, skip, isEnd, lastCreatedAt, lastId, ...parts] = reply;
  const rows: Row[] = [];
  for (let i = 0; i < parts.length; i += 3) {
    const [id, createdAt, value] = parts.slice(i, i + 3) as [string, string, string];
    const bar = value.indexOf('|');
    rows.push({ id, createdAt: Number(createdAt), open: () => open(id, value.slice(0, bar), value.slice(bar + 1)) });
  }
  const last = { createdAt: Number(lastCreatedAt), id: lastId };
  return { head: { epoch, offset, unreadCount }, skip, isEnd: isEnd === 1, last, rows };
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
