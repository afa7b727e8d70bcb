import type { CarillonClientError, ClientOptions } from './client.js';
import { asRead, type Change, isAbove, place, type Range } from './list.js';
import { isTold, type Known, type Mark, type MarkName, overlay } from './marks.js';
import type { Filter, Notification } from './notification.js';
import type { Page, Request } from './requests.js';

/** Where a user's inbox stands. */
export interface Head {
  readonly epoch: string;
  offset: number;
  unreadCount: number;
}

/** What is kept of a user's inbox between visits. */
export interface Kept {
  readonly head: Head;
  readonly list: Pick<List, 'items' | 'cursor' | 'hasMore' | 'floor' | 'isLoaded' | 'isStale'>;
}

/** A list of the server's, as far as it was fetched. */
export interface List extends Range {
  floor?: Notification | undefined;
  /** As the server told it. */
  items: readonly Notification[];
  /** With the marks of this page on top. */
  notifications: readonly Notification[];
  cursor?: string | undefined;
  hasMore: boolean;
  isLoaded: boolean;
  /** A first page is due. */
  isStale: boolean;
  /** Changes since a page was asked for, until it is there: it may have been read before them. */
  since?: Change[] | undefined;
  /** Counts pages, and first ones twice: what belongs to an earlier turn comes too late. */
  turn: number;
  more?: Promise<void> | undefined;
}

interface ReplicaParts {
  ask<T>(request: Request): Promise<T>;
  /** Something in lists or count may have changed. */
  change(lists: readonly List[], unreadCount: number): void;
  notification(notification: Notification): void;
  /** A change is missing, or the log is another one. */
  lose(): void;
  error(error: CarillonClientError): void;
}

/** Milliseconds before a first page that failed is asked for again. */
const AGAIN = 2000;
/** Milliseconds the server's word of a change may come after its ok: it takes two ways through Redis. */
const TOLD_WITHIN = 3000;

const blank = (filter: Filter, turn: number): List => ({
  filter,
  floor: undefined,
  items: [],
  notifications: [],
  cursor: undefined,
  hasMore: false,
  isLoaded: false,
  isStale: true,
  turn,
});

/** The part of a user's inbox this page knows: lists that follow the server's log change by change, and marks laid over them. */
export function createReplica({ filter = {}, pageSize: limit }: ClientOptions, parts: ReplicaParts) {
  const lists = new Set<List>();
  let head: Head | undefined;
  let marks: Mark[] = [];
  /** The newest that ever came or was in the first list: what stands above it is new. */
  let newest: Notification | undefined;
  /** Those that a page told of last: it may have been read after changes that are still to come. */
  let told: readonly Notification[] = [];

  const refresh = () => {
    const known: Known = new Map([...lists].flatMap((list) => list.items.map((item) => [item.id, item])));
    while (marks[0]?.isDone && isTold(marks[0], known)) marks.shift();
    const [marked, unreadCount] = overlay(marks, known, head?.unreadCount ?? 0);
    const changed = [...lists].filter((list) => {
      const before = list.notifications;
      list.notifications = place(list, list.items, marked);
      return list.notifications !== before;
    });
    parts.change(changed, unreadCount);
  };

  const isNew = (item: Notification) => !newest || isAbove(item, newest);
  const note = (item: Notification) => {
    if (isNew(item)) newest = item;
  };

  // A page may hold the change already, and later ones: those come here too, so the list ends right.
  const apply = (list: List, change: Change) => {
    list.since?.push(change);
    const changed: [string, Notification | undefined][] =
      change.type === 'allRead'
        ? list.items.map((item) => [item.id, asRead(item, change.data.upTo)])
        : [[change.data.id, change.event === 'deleted' ? undefined : change.data]];
    list.items = place(list, list.items, new Map(changed));
    // Those read so are in no list that could be narrowed.
    if (change.type === 'allRead' && list.filter.unread === false) load(list);
  };

  const take = (list: List, { data, nextCursor, offset }: Page, isFirst: boolean) => {
    const isTop = isFirst && list === main;
    if (isTop) {
      // After a gap that could not be filled, this is how the new ones come.
      told = data.filter((item) => list.isLoaded && isNew(item)).reverse();
      data.forEach(note);
    }
    const { since } = list;
    list.items = isFirst ? data : [...list.items, ...data];
    list.cursor = nextCursor;
    list.hasMore = !!nextCursor;
    list.floor = nextCursor ? data.at(-1) : undefined;
    list.turn++;
    list.isLoaded = true;
    list.isStale = false;
    list.more = list.since = undefined;
    for (const change of since ?? []) if (change.offset > offset) apply(list, change);
    refresh();
    if (isTop) told.forEach(parts.notification);
  };

  /** Fetches the first page, or the one at a cursor. */
  const fetch = async (list: List, cursor?: string) => {
    const { turn } = list;
    list.since = [];
    try {
      const page = await parts.ask<Page>({ type: 'getNotifications', limit, cursor, ...list.filter });
      if (turn === list.turn) take(list, page, !cursor);
    } finally {
      if (turn === list.turn) list.more = undefined;
    }
  };

  const load = (list: List) => {
    const turn = ++list.turn;
    list.isStale = true;
    fetch(list).catch((error) => {
      if (turn !== list.turn || error.code === 'CLOSED') return;
      parts.error(error);
      setTimeout(() => turn === list.turn && load(list), AGAIN);
    });
  };

  /** The log goes on from here, and lists do not. */
  const jump = ({ epoch, offset, unreadCount }: Head) => {
    head = { epoch, offset, unreadCount };
    marks = marks.filter((mark) => !mark.isDone);
    for (const list of lists) list.since = undefined;
  };

  const drop = (mark: Mark) => {
    marks = marks.filter((other) => other !== mark);
    refresh();
  };

  const open = (filter: Filter): List => {
    const list = blank(filter, 0);
    lists.add(list);
    if (head) load(list);
    return list;
  };
  const main = open(filter);

  return {
    /** The list of the client itself. */
    main,
    open,
    head: () => head,
    close(list: List): void {
      list.turn++;
      lists.delete(list);
    },
    /** A connection stands. `comes`: what was missed comes by itself, or a page in its place. */
    greet(to: Head, comes?: boolean): void {
      const isLost = !head || !(comes || (head.epoch === to.epoch && head.offset === to.offset));
      if (isLost) jump(to);
      for (const list of lists) if (isLost || list.isStale) load(list);
      refresh();
    },
    hear(frame: Change | ({ type: 'notifications' } & Page) | { type: 'unreadCount' }): void {
      // Each change tells the count as well.
      if (!head || frame.type === 'unreadCount') return;
      if (frame.type === 'notifications') {
        jump(frame);
        for (const list of lists) Object.keys(list.filter).length ? load(list) : take(list, frame, true);
      } else {
        // Known already, or nothing of the log.
        if (!(frame.offset > head.offset)) return;
        if (frame.offset > head.offset + 1) return void parts.lose();
        head.offset = frame.offset;
        head.unreadCount = frame.unreadCount;
        // All that were there are read now, and what comes from here on is not.
        if (frame.type === 'allRead') marks = marks.filter(({ ids }) => ids);
        for (const list of lists) apply(list, frame);
      }
      refresh();
      if (frame.type === 'notification' && frame.event === 'new') {
        note(frame.data);
        if (!told.some(({ id }) => id === frame.data.id)) parts.notification(frame.data);
      }
    },
    async loadMore(list: List): Promise<void> {
      if (list.hasMore && !list.isStale) list.more ??= fetch(list, list.cursor);
      await list.more;
    },
    /** Shows a mark and sends it. @throws what the server answers; then it is taken back. */
    async mark(name: MarkName, ids?: readonly string[]): Promise<void> {
      const mark: Mark = { name, ids, at: Date.now(), isDone: false };
      marks.push(mark);
      refresh();
      for (const notificationId of ids ?? [undefined]) {
        try {
          await parts.ask({ type: name, notificationId });
        } catch (error) {
          // It is gone already: by this very request, sent again, or by another.
          if ((error as CarillonClientError).code === 'NOTIFICATION_NOT_FOUND' && (name === 'delete' || name === 'markAsSeen')) continue;
          drop(mark);
          throw error;
        }
      }
      mark.isDone = true;
      refresh();
      setTimeout(drop, TOLD_WITHIN, mark);
    },
    /** What is to be kept for another visit. */
    keep(): Kept | undefined {
      const { items, cursor, hasMore, floor, isLoaded, isStale } = main;
      return head && !isStale ? { head, list: { items, cursor, hasMore, floor, isLoaded, isStale } } : undefined;
    },
    /** Takes what was kept of an earlier visit. */
    restore({ head: to, list }: Kept): void {
      head = to;
      Object.assign(main, list);
      main.items.forEach(note);
      refresh();
    },
    /** Forgets everything of the user. */
    clear(): void {
      head = newest = undefined;
      marks = [];
      told = [];
      for (const list of lists) Object.assign(list, blank(list.filter, list.turn + 1));
      refresh();
    },
  };
}
