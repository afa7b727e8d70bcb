import type { Revocations } from '@carillon/access';
import { CarillonError } from '@carillon/contracts';
import type { Head, Inbox, InboxChange, InboxPage, Position, Resumption } from '@carillon/inbox';
import { EncodedChange } from './frames.js';
import type { Deadline, Wheel } from './wheel.js';

/** Who hears a user's changes: one per socket. None of its methods may throw. */
export interface Follower {
  /** The next change of the log, each once and in order. */
  change(change: EncodedChange): void;
  /** Changes are lost for good; the page shows the inbox as it stands. */
  lost(page: InboxPage): void;
  /** The user's tokens count since this moment only, ms; told whenever it is known, perhaps again. */
  revoked(since: number): void;
}

/** One user's followers, and how far they have heard. */
interface Feed {
  readonly userId: string;
  readonly followers: Set<Follower>;
  /** Resolves with how to unsubscribe, once the subscription stands. */
  readonly followed: Promise<() => Promise<void>>;
  /** Unknown until the first reading. */
  position: Position | undefined;
  /** Since when the user's tokens count, ms, as far as is known here; 0 for always. */
  revokedSince: number;
  /** Announcements that came while the log was being read; undefined when it is not. */
  waiting: InboxChange[] | undefined;
  check: Deadline | undefined;
  /** Milliseconds until a reading that fails now is tried again. */
  retryMs: number;
}

export interface HubLimits {
  /** Milliseconds between checks of a feed's position against the log, on average: announcements can get lost without a sign. */
  readonly checkEveryMs: number;
  /** Announcements kept while the log is being read; beyond it they are dropped and read from the log as well. */
  readonly maxWaiting: number;
  /** Notifications in a snapshot. */
  readonly snapshotSize: number;
  /** Milliseconds a follower waits for its subscription. */
  readonly followWithinMs: number;
}

export interface Hub {
  /**
   * Makes a follower hear all changes from now on, then reads the log: what came after `from`, or where it stands. Changes after that
   * reading and before this promise resolves reach the follower all the same, so it drops what the reading already told. Before it
   * resolves, the follower has been told of a revocation, if there ever was one.
   *
   * @throws REDIS_UNAVAILABLE; then nothing is left behind.
   */
  join(userId: string, follower: Follower, from: Position): Promise<Resumption>;
  join(userId: string, follower: Follower): Promise<Head>;
  leave(userId: string, follower: Follower): void;
  /** Ends all subscriptions. */
  close(): Promise<void>;
}

/** Milliseconds, about, before a failed reading is tried again; doubled each time, up to the time between checks. */
const RETRY_MS = 1000;
/** Milliseconds over which the checks of all feeds are spread after a lost connection, per feed: about 1,000 readings a second. */
const GAP_SPREAD_MS_PER_FEED = 1;

/** Milliseconds, about, after which a check that followed a lost connection is repeated: the first may come before all is resubscribed. */
const AFTER_GAP_MS = 2000;

/** What a hub reads, and how it tells the time. */
export interface HubParts {
  readonly inbox: Inbox;
  readonly revocations: Pick<Revocations, 'since'>;
  readonly wheel: Wheel;
}

/**
 * One subscription per followed user and process, however many sockets the user has; heals what announcements lose. `onError` hears the
 * first failed reading of an outage.
 */
export function createHub({ inbox, revocations, wheel }: HubParts, limits: HubLimits, onError: (error: unknown) => void): Hub {
  const feeds = new Map<string, Feed>();
  /** Subscriptions being ended: the next one of the same user waits for it, since there is one a user. */
  const leaving = new Map<string, Promise<void>>();
  let isFailing = false;

  inbox.onGap(() => {
    const spread = feeds.size * GAP_SPREAD_MS_PER_FEED;
    for (const feed of feeds.values()) checkLater(feed, Math.random() * spread, AFTER_GAP_MS);
  });

  function open(userId: string): Feed {
    const listen = (change: InboxChange) => heard(feed, change);
    const listenRevoked = (since: number) => revoked(feed, since);
    const followed = (leaving.get(userId) ?? Promise.resolve()).then(() => inbox.follow(userId, listen, listenRevoked));
    const feed: Feed = {
      userId,
      followers: new Set(),
      followed,
      position: undefined,
      revokedSince: 0,
      waiting: [],
      check: undefined,
      retryMs: RETRY_MS,
    };
    feeds.set(userId, feed);
    checkLater(feed, jittered(limits.checkEveryMs));
    return feed;
  }

  function shut(feed: Feed): void {
    feed.check?.cancel();
    if (feeds.get(feed.userId) === feed) feeds.delete(feed.userId);
    // A subscription that never stood, or whose end cannot be told to Redis, needs nothing more.
    const ended = feed.followed.then((unfollow) => unfollow()).catch(() => {});
    leaving.set(feed.userId, ended);
    void ended.then(() => leaving.get(feed.userId) === ended && leaving.delete(feed.userId));
  }

  const isOpen = (feed: Feed) => feeds.get(feed.userId) === feed;

  function checkLater(feed: Feed, ms: number, nextMs = limits.checkEveryMs): void {
    feed.check?.cancel();
    feed.check = wheel.after(ms, () => {
      checkLater(feed, jittered(nextMs));
      void catchUp(feed);
    });
  }

  function heard(feed: Feed, change: InboxChange): void {
    if (!feed.waiting) {
      if (!take(feed, change)) void catchUp(feed);
    } else if (feed.waiting.length < limits.maxWaiting) feed.waiting.push(change);
  }

  function revoked(feed: Feed, since: number): void {
    if (since <= feed.revokedSince) return;
    feed.revokedSince = since;
    for (const follower of feed.followers) follower.revoked(since);
  }

  /** What `read` gives, after word of a revocation that was read at the same time. */
  async function withRevocation<T>(feed: Feed, read: () => Promise<T>): Promise<T> {
    const [found, [since = 0]] = await Promise.all([read(), revocations.since([feed.userId])]);
    revoked(feed, since);
    return found;
  }

  /** Passes on a change if it is the next one. False on a gap. */
  function take(feed: Feed, change: InboxChange): boolean {
    const at = feed.position as Position;
    if (change.epoch === at.epoch && change.offset <= at.offset) return true;
    if (change.epoch !== at.epoch || change.offset !== at.offset + 1) return false;
    feed.position = { epoch: change.epoch, offset: change.offset };
    const encoded = new EncodedChange(change);
    for (const follower of feed.followers) follower.change(encoded);
    return true;
  }

  /** Sets the position if none is known, and passes on what waited for it. */
  function startAt(feed: Feed, head: Position): void {
    if (feed.position) {
      // The log is ahead of what was announced here, or is another one: perhaps an announcement is lost.
      if (head.epoch !== feed.position.epoch || head.offset > feed.position.offset) void catchUp(feed);
      return;
    }
    feed.position = { epoch: head.epoch, offset: head.offset };
    takeWaiting(feed);
  }

  function takeWaiting(feed: Feed): void {
    const waiting = feed.waiting ?? [];
    feed.waiting = undefined;
    const isWhole = waiting.length < limits.maxWaiting && waiting.every((change) => take(feed, change));
    if (!isWhole) void catchUp(feed);
  }

  /** Reads what the announcements did not bring. One reading at a time; what is announced meanwhile waits for it. */
  async function catchUp(feed: Feed): Promise<void> {
    if (feed.waiting || !feed.position || !isOpen(feed)) return;
    const { userId, position } = feed;
    feed.waiting = [];
    try {
      const missed = await withRevocation(feed, () => inbox.since(userId, position));
      if (!isOpen(feed)) return;
      if (missed.recovered) for (const change of missed.changes) take(feed, change);
      else await replace(feed);
    } catch (error) {
      readFailed(feed, error);
      return;
    }
    isFailing = false;
    feed.retryMs = RETRY_MS;
    takeWaiting(feed);
  }

  function readFailed(feed: Feed, error: unknown): void {
    // Once for an outage, not once for each of perhaps 100,000 feeds.
    if (!isFailing) onError(error);
    isFailing = true;
    feed.waiting = undefined;
    checkLater(feed, jittered(feed.retryMs));
    feed.retryMs = Math.min(2 * feed.retryMs, limits.checkEveryMs);
  }

  /** The followers' log is gone: shows each the inbox as it stands. */
  async function replace(feed: Feed): Promise<void> {
    const page = await inbox.page(feed.userId, { limit: limits.snapshotSize });
    feed.position = { epoch: page.epoch, offset: page.offset };
    for (const follower of feed.followers) follower.lost(page);
  }

  /** Waits for the subscription, but not for as long as Redis may be away. */
  async function subscribed(feed: Feed): Promise<void> {
    let late: Deadline | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      late = wheel.after(limits.followWithinMs, () => reject(new CarillonError('REDIS_UNAVAILABLE')));
    });
    await Promise.race([feed.followed, tooLate]).finally(() => late?.cancel());
  }

  function drop(feed: Feed, follower: Follower): void {
    if (feed.followers.delete(follower) && feed.followers.size === 0) shut(feed);
  }

  async function join(userId: string, follower: Follower, from?: Position): Promise<Head | Resumption> {
    const feed = feeds.get(userId) ?? open(userId);
    feed.followers.add(follower);
    try {
      await subscribed(feed);
      const at = await withRevocation<Head | Resumption>(feed, () => (from ? inbox.since(userId, from) : inbox.head(userId)));
      if (feed.revokedSince > 0) follower.revoked(feed.revokedSince);
      startAt(feed, at);
      return at;
    } catch (error) {
      drop(feed, follower);
      throw error;
    }
  }

  return {
    join: join as Hub['join'],
    leave: (userId, follower) => {
      const feed = feeds.get(userId);
      if (feed) drop(feed, follower);
    },
    close: async () => {
      for (const feed of feeds.values()) {
        feed.followers.clear();
        shut(feed);
      }
      await Promise.all(leaving.values());
    },
  };
}

/** A random time around `ms`, from half of it to one and a half. */
function jittered(ms: number): number {
  return ms * (0.5 + Math.random());
}
