import { CarillonError, type InboxFilter, type Notification, notificationIdSchema } from '@carillon/contracts';
import type { Head, InboxPage, PageRequest } from './inbox.js';

/** Where an item stands in the order of an inbox: by the time it was created, then by its id. */
export interface Place {
  readonly createdAt: number;
  readonly id: string;
}

/** A part of an inbox to read, newest first. */
export interface Stretch {
  /** Rows to answer at most. */
  readonly want: number;
  /** Rows to leave out first. */
  readonly skip: number;
  /** Begin behind this item; at the newest if absent. */
  readonly after: Place | undefined;
}

/** A row, with what makes a notification of it. */
export interface Row extends Place {
  readonly open: () => Notification;
}

/** What was read of it, maybe less than was wanted. */
export interface StretchRead {
  readonly head: Head;
  /** Rows still to leave out. */
  readonly skip: number;
  /** Whether nothing is left behind it. */
  readonly isEnd: boolean;
  /** The item looked at last. */
  readonly last: Place;
  readonly rows: readonly Row[];
}

/** Rows opened at a time to find those that fit a filter on what is sealed: a page of full size, so that no call moves more bytes than one. */
const OPENED_AT_ONCE = 100;

/**
 * Puts a page together from stretches, which are narrowed to what can be told without opening. What can be told only then (category, thread, tag) is
 * looked at here: it holds the page and one stretch at a time. The head is that of the first reading: what changed since is still to come by the log.
 *
 * @throws FIELD_INVALID `cursor`
 */
export async function readPage(request: PageRequest, read: (stretch: Stretch) => Promise<StretchRead>): Promise<InboxPage> {
  const { limit, offset = 0, category, threadId, tag } = request;
  const isSealed = category !== undefined || threadId !== undefined || tag !== undefined;
  const data: Notification[] = [];
  let [after, skip, head]: [Place | undefined, number, Head | undefined] = [placeOf(request), offset, undefined];
  let lastShown: Place | undefined;
  for (;;) {
    const stretch = await read({ want: isSealed ? OPENED_AT_ONCE : limit + 1 - data.length, skip: isSealed ? 0 : skip, after });
    head ??= stretch.head;
    if (!isSealed) skip = stretch.skip;
    for (const row of stretch.rows) {
      const notification = row.open();
      if (isSealed && (!fits(notification, request) || skip-- > 0)) continue;
      if (lastShown && data.length === limit) return { data, ...head, nextCursor: toCursor(lastShown) };
      data.push(notification);
      lastShown = row;
    }
    if (stretch.isEnd) return { data, ...head };
    after = stretch.last;
  }
}

/** Whether a notification is among those a filter leaves, as far as that is said by what is sealed. */
function fits(notification: Notification, { category, threadId, tag }: InboxFilter): boolean {
  return (
    (category === undefined || notification.category === category) &&
    (threadId === undefined || notification.threadId === threadId) &&
    (tag === undefined || notification.tags.includes(tag))
  );
}

/** The item behind which a request begins. @throws FIELD_INVALID `cursor` if it is not one of ours, or comes with an offset */
function placeOf({ cursor, offset }: PageRequest): Place | undefined {
  if (cursor === undefined) return undefined;
  const invalid = (why: string) => new CarillonError('FIELD_INVALID', { field: 'cursor', message: `cursor: ${why}` });
  if (offset !== undefined) throw invalid('must not be given together with offset');
  const place = fromCursor(cursor);
  if (!place) throw invalid('is not one of ours');
  return place;
}

/** A cursor: the last item of a page, opaque to clients. */
function toCursor({ createdAt, id }: Place): string {
  return Buffer.from(`${createdAt}~${id}`).toString('base64url');
}

/** Reads a cursor; undefined if it is none, to the letter. */
function fromCursor(cursor: string): Place | undefined {
  const [createdAt, id = ''] = Buffer.from(cursor, 'base64url').toString().split('~', 2);
  const place = { createdAt: Number(createdAt), id };
  const isPlace = Number.isSafeInteger(place.createdAt) && place.createdAt >= 0 && notificationIdSchema.safeParse(id).success;
  // Decoding leaves out what is not base64: only what we would write ourselves is one.
  return isPlace && toCursor(place) === cursor ? place : undefined;
}
