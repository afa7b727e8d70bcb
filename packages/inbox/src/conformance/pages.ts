import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { InboxFilter, Notification } from '@carillon/contracts';
import type { Inbox } from '../inbox.js';
import { add, type ConformanceCase, checks, type MakeInbox, newUser, seeded, TEST_LIMITS, testItem } from './suite.js';

/** More than one call of a script looks at, and than are opened at a time. */
const MANY = 450;
const roomy = { limits: { ...TEST_LIMITS, maxItems: 500 } };

/** Filters and cursors. */
export function pageCases(make: MakeInbox): ConformanceCase[] {
  const check = checks(make);
  return [
    check('every filter, by cursor and by offset, leaves what a look at the whole list leaves', everyFilter, roomy),
    check('what lies deep is found, however few there are', findsDeep, roomy),
    check('a cursor that is none of ours, or comes with an offset, is refused by its field', refusesCursors),
    check('a cursor whose notification is gone since goes on behind its place', goesOnBehindWhatIsGone),
    check('an offset beyond the end is an empty page', async (inbox) => {
      const user = newUser();
      await add(inbox, user, 3);
      for (const offset of [3, 4, Number.MAX_SAFE_INTEGER]) {
        for (const filter of [{}, { unread: true }, { category: 'care' }, { since: 1 }]) {
          const page = await inbox.page(user, { limit: 100, offset, ...filter });
          assert.deepEqual([page.data, page.nextCursor, page.unreadCount], [[], undefined, 3]);
        }
      }
    }),
  ];
}

/** What a filter leaves of a list. */
function left(list: readonly Notification[], { unread, archived, category, threadId, tag, since }: InboxFilter): Notification[] {
  return list.filter(
    (one) =>
      (unread === undefined || unread === (one.readAt === null)) &&
      (archived === undefined || archived === (one.archivedAt !== null)) &&
      (category === undefined || category === one.category) &&
      (threadId === undefined || threadId === one.threadId) &&
      (tag === undefined || one.tags.includes(tag)) &&
      (since === undefined || one.createdAt >= since),
  );
}

/** Fills an inbox with notifications of all kinds, several of one time among them. */
async function fill(inbox: Inbox, userId: string, random: () => number): Promise<{ start: number }> {
  const start = Date.now() - 100_000;
  const pick = <T>(...from: T[]): T => from[Math.floor(random() * from.length)] as T;
  const maybe = <T extends object>(more: T) => (random() < 0.5 ? more : {});
  const items = Array.from({ length: MANY }, () =>
    testItem(userId, {
      createdAt: start + Math.floor(random() * 100) * 1000,
      ...maybe({ category: pick('care', 'billing') }),
      ...maybe({ threadId: pick('t1', 't2', 't3') }),
      ...maybe({ tags: pick(['a'], ['a', 'b'], ['b', 'c']) }),
    }),
  );
  assert.ok((await inbox.append(items)).every(({ ok }) => ok));
  const marks = items.flatMap(({ id }) => (random() < 0.6 ? [[id, pick('read', 'seen', 'archived', 'archived')] as const] : []));
  await Promise.all(marks.map(([id, mark]) => inbox.mark(userId, id, mark)));
  await Promise.all(marks.filter(() => random() < 0.2).map(([id]) => inbox.mark(userId, id, 'unread')));
  return { start };
}

/** Each filter alone, in both its senses, and twenty of several at once. */
function filters(start: number, random: () => number): InboxFilter[] {
  const alone: InboxFilter[] = [
    ...[true, false].flatMap((flag) => [{ unread: flag }, { archived: flag }]),
    ...['care', 'none'].map((category) => ({ category })),
    ...['t1', 'none'].map((threadId) => ({ threadId })),
    ...['a', 'c', 'none'].map((tag) => ({ tag })),
    ...[0, start + 50_000, start + 1e6].map((since) => ({ since })),
  ];
  const several = Array.from({ length: 20 }, () => Object.assign({}, ...alone.filter(() => random() < 0.25)) as InboxFilter);
  return [{}, ...alone, ...several];
}

async function everyFilter(inbox: Inbox): Promise<void> {
  const [user, random] = [newUser(), seeded(5)];
  const { start } = await fill(inbox, user, random);
  const whole = (await inbox.page(user, { limit: 1000 })).data;
  assert.equal(whole.length, MANY);
  const head = await inbox.head(user);
  let found = 0;
  for (const filter of filters(start, random)) {
    const expected = left(whole, filter);
    found += expected.length;
    // A limit that comes out even: then, too, no cursor leads to an empty page.
    for (const limit of [60, Math.max(1, Math.ceil(expected.length / 2))]) {
      const read: Notification[] = [];
      for (let cursor: string | undefined, at = 0; ; at += limit) {
        const page = await inbox.page(user, { ...filter, limit, cursor });
        assert.deepEqual({ epoch: page.epoch, offset: page.offset, unreadCount: page.unreadCount }, head);
        assert.deepEqual(page.data, expected.slice(at, at + limit), JSON.stringify(filter));
        assert.equal(page.nextCursor === undefined, at + limit >= expected.length);
        read.push(...page.data);
        cursor = page.nextCursor;
        if (cursor === undefined) break;
      }
      assert.deepEqual(read, expected);
    }
    for (const offset of [0, 1, Math.floor(expected.length / 2), expected.length]) {
      const page = await inbox.page(user, { ...filter, limit: 7, offset });
      assert.deepEqual(page.data, expected.slice(offset, offset + 7), JSON.stringify([filter, offset]));
      assert.equal(page.nextCursor === undefined, offset + 7 >= expected.length);
    }
  }
  assert.ok(found > MANY, 'the filters leave something to compare');
}

async function findsDeep(inbox: Inbox): Promise<void> {
  const user = newUser();
  const at = Date.now() - 50_000;
  const deep = testItem(user, { createdAt: at, category: 'rare', threadId: 'rare', tags: ['x', 'rare'] });
  await inbox.append([deep, ...Array.from({ length: MANY }, (_, i) => testItem(user, { createdAt: at + 1 + i }))]);
  await inbox.markAllAsRead(user);
  await inbox.mark(user, deep.id, 'unread');
  for (const filter of [{ unread: true }, { category: 'rare' }, { threadId: 'rare' }, { tag: 'rare' }, { tag: 'rare', unread: true }]) {
    const page = await inbox.page(user, { limit: 1, ...filter });
    assert.deepEqual([page.data.map(({ id }) => id), page.nextCursor], [[deep.id], undefined]);
    assert.deepEqual((await inbox.page(user, { limit: 1, offset: 1, ...filter })).data, []);
  }
  await inbox.mark(user, deep.id, 'archived');
  assert.deepEqual(
    (await inbox.page(user, { limit: 1, archived: true })).data.map(({ id }) => id),
    [deep.id],
  );
  assert.deepEqual((await inbox.page(user, { limit: 1, unread: true })).data, []);
}

async function refusesCursors(inbox: Inbox): Promise<void> {
  const user = newUser();
  await add(inbox, user, 3);
  const { nextCursor = '' } = await inbox.page(user, { limit: 1 });
  const encode = (text: string) => Buffer.from(text).toString('base64url');
  const id = randomUUID();
  const nonsense = [
    ...['', 'nonsense', '*', '~', '\n', 'é', encode(''), encode('~'), encode(`1~${'x'.repeat(36)}`), encode(id), encode(`~${id}`)],
    ...['-1', '1e3', '0x10', '01', '1.5', 'Infinity', 'NaN', ' 1', '9007199254740993'].map((time) => encode(`${time}~${id}`)),
    ...[encode(`1~${id.toUpperCase()}0`), encode(`1~${id}~1`), encode(`1~${id}\n`)],
    ...[`${nextCursor}=`, ` ${nextCursor}`, `${nextCursor}\n`, nextCursor.slice(0, -1), `${nextCursor}AAAA`, 'A'.repeat(10_000)],
  ];
  const refused = { code: 'FIELD_INVALID', field: 'cursor' };
  for (const cursor of nonsense) {
    await assert.rejects(inbox.page(user, { limit: 2, cursor }), refused, JSON.stringify(cursor));
  }
  for (const offset of [0, 1]) await assert.rejects(inbox.page(user, { limit: 2, cursor: nextCursor, offset }), refused);
  assert.equal((await inbox.page(user, { limit: 2, cursor: nextCursor })).data.length, 2);
  assert.deepEqual((await inbox.page(user, { limit: 2, cursor: encode(`1~${id}`) })).data, []);
}

async function goesOnBehindWhatIsGone(inbox: Inbox): Promise<void> {
  for (const filter of [{}, { unread: true }, { category: 'care' }]) {
    const user = newUser();
    const createdAt = Date.now() - 1000;
    await inbox.append(Array.from({ length: 5 }, () => testItem(user, { createdAt, category: 'care' })));
    const all = (await inbox.page(user, { limit: 5 })).data.map(({ id }) => id);
    const { data, nextCursor } = await inbox.page(user, { limit: 3, ...filter });
    await inbox.remove(user, data.at(-1)?.id as string);
    const rest = await inbox.page(user, { limit: 3, cursor: nextCursor, ...filter });
    assert.deepEqual(
      rest.data.map(({ id }) => id),
      all.slice(3),
    );
  }
}
