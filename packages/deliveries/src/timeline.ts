import { CarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { NotificationRecord, RecordPage } from './deliveries.js';
import { toRecord } from './record.js';

/** A place in a user's list: newest first, and within one millisecond by id, backwards. */
interface Place {
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly id: string;
}

/** Records by id, in order; undefined for those that are gone. */
export async function recordsOf(redis: Redis, ids: readonly string[]): Promise<(NotificationRecord | undefined)[]> {
  const texts = await Promise.all(ids.map((id) => redis.command<string | null>('GET', redis.keys.delivery(id))));
  return ids.map((id, i) => (texts[i] == null ? undefined : toRecord(id, texts[i] as string)));
}

/** See `Deliveries.page`. */
export async function pageOf(
  redis: Redis,
  userId: string,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
): Promise<RecordPage> {
  const start = cursor === undefined ? undefined : toPlace(cursor);
  const data: NotificationRecord[] = [];
  // One more than asked for tells whether there are more.
  const wanted = limit + 1;
  let read = start;
  for (let from = 0; data.length < wanted; from += wanted) {
    const places = await placesFrom(redis, userId, start?.createdAt ?? '+inf', from, wanted);
    // What came in the meantime has moved the others back: some are seen again.
    const before = read;
    const older = before ? places.filter((place) => isAfter(place, before)) : places;
    read = older.at(-1) ?? read;
    const ids = older.map(({ id }) => id);
    data.push(...(await recordsOf(redis, ids)).filter((record) => record !== undefined));
    if (places.length < wanted) break;
  }
  const page = data.slice(0, limit);
  const last = page.at(-1);
  return data.length > limit && last ? { data: page, nextCursor: toCursor(last) } : { data: page };
}

async function placesFrom(redis: Redis, userId: string, newest: number | '+inf', from: number, count: number): Promise<Place[]> {
  const range = [redis.keys.told(userId), newest, '-inf', 'WITHSCORES', 'LIMIT', from, count];
  const answer = await redis.command<(string | number)[] | [string, number][]>('ZREVRANGEBYSCORE', ...range);
  // RESP3 answers with pairs, RESP2 with one list.
  const flat = answer.flat();
  return Array.from({ length: flat.length / 2 }, (_, i) => ({ id: String(flat[2 * i]), createdAt: Number(flat[2 * i + 1]) }));
}

/** Redis orders equal scores by the bytes of the member, which ids are ASCII enough to compare by. */
const isAfter = (place: Place, { createdAt, id }: Place) => place.createdAt < createdAt || (place.createdAt === createdAt && place.id < id);

const toCursor = ({ createdAt, id }: Place) => Buffer.from(`${createdAt} ${id}`).toString('base64url');

function toPlace(cursor: string): Place {
  const [, createdAt, id] = /^(\d{1,16}) ([\w-]{1,64})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (createdAt === undefined)
    throw new CarillonError('FIELD_INVALID', { field: 'cursor', message: 'cursor: must be one that a page gave' });
  return { createdAt: Number(createdAt), id: id as string };
}
