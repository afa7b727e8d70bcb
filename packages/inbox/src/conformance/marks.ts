import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type InboxMark, inboxMarks, type Notification } from '@carillon/contracts';
import type { Inbox, InboxChange } from '../inbox.js';
import { add, type ConformanceCase, checks, type MakeInbox, newUser, offsets, rejectsWith, TEST_LIMITS, testItem } from './suite.js';

interface State {
  readonly read: boolean;
  readonly seen: boolean;
  readonly archived: boolean;
}

/** All eight states a notification can be in. */
const states: readonly State[] = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => ({
  read: (bits & 1) > 0,
  seen: (bits & 2) > 0,
  archived: (bits & 4) > 0,
}));

/** What each mark makes of a state. */
const after: Readonly<Record<InboxMark, (state: State) => State>> = {
  read: (state) => ({ ...state, read: true }),
  unread: (state) => ({ ...state, read: false }),
  seen: (state) => ({ ...state, seen: true }),
  archived: (state) => (state.archived ? state : { ...state, archived: true, read: true }),
  unarchived: (state) => ({ ...state, archived: false }),
};

const stateOf = ({ readAt, seenAt, archivedAt }: Notification): State => ({
  read: readAt !== null,
  seen: seenAt !== null,
  archived: archivedAt !== null,
});

/** A new notification in a state, which takes several marks. */
async function bringTo(inbox: Inbox, userId: string, state: State): Promise<Notification> {
  const [{ id } = { id: '' }] = await add(inbox, userId, 1);
  if (state.archived) await inbox.mark(userId, id, 'archived');
  if (state.seen) await inbox.mark(userId, id, 'seen');
  const notification = await inbox.mark(userId, id, state.read ? 'read' : 'unread');
  assert.deepEqual(stateOf(notification), state);
  return notification;
}

/** Marks and removals. */
export function markCases(make: MakeInbox): ConformanceCase[] {
  const check = checks(make);
  const roomy = { limits: { ...TEST_LIMITS, maxItems: 100 } };
  return [
    ...inboxMarks.map((mark) => check(`${mark}: in every state one change or none`, (inbox) => markEveryState(inbox, mark), roomy)),
    check('a mark of an unknown one, or of somebody else’s, is refused and changes nothing', async (inbox) => {
      const [user, other] = [newUser(), newUser()];
      const [item] = await add(inbox, user, 1);
      const before = [await inbox.head(user), await inbox.head(other)];
      for (const mark of inboxMarks) {
        await assert.rejects(inbox.mark(user, randomUUID(), mark), rejectsWith('NOTIFICATION_NOT_FOUND'));
        await assert.rejects(inbox.mark(other, item?.id as string, mark), rejectsWith('NOTIFICATION_NOT_FOUND'));
      }
      await assert.rejects(inbox.remove(user, randomUUID()), rejectsWith('NOTIFICATION_NOT_FOUND'));
      await assert.rejects(inbox.remove(other, item?.id as string), rejectsWith('NOTIFICATION_NOT_FOUND'));
      assert.deepEqual([await inbox.head(user), await inbox.head(other)], before);
    }),
    check('the same mark many times at once is one change', async (inbox) => {
      const user = newUser();
      const [item] = await add(inbox, user, 2);
      for (const [index, mark] of (['archived', 'unread', 'seen', 'unarchived', 'read'] as const).entries()) {
        const answers = await Promise.all(Array.from({ length: 10 }, () => inbox.mark(user, item?.id as string, mark)));
        for (const answer of answers) assert.deepEqual(answer, answers[0]);
        assert.equal((await inbox.head(user)).offset, 3 + index);
      }
    }),
    tellsOfReading(make),
    check('removing: the count drops with an unread one, and what is gone stays gone', removeAll),
    check('the count is right when archived ones leave, read or unread', async (inbox) => {
      const user = newUser();
      const items = await add(inbox, user, TEST_LIMITS.maxItems);
      const [first, second] = items.map(({ id }) => id) as [string, string];
      for (const id of [first, second]) await inbox.mark(user, id, 'archived');
      await inbox.mark(user, second, 'unread');
      assert.equal((await inbox.head(user)).unreadCount, TEST_LIMITS.maxItems - 1);
      await inbox.append([testItem(user)]);
      assert.equal((await inbox.head(user)).unreadCount, TEST_LIMITS.maxItems);
      await inbox.append([testItem(user)]);
      assert.equal((await inbox.head(user)).unreadCount, TEST_LIMITS.maxItems);
      await assert.rejects(inbox.mark(user, first, 'unread'), rejectsWith('NOTIFICATION_NOT_FOUND'));
      await inbox.markAllAsRead(user);
      assert.equal((await inbox.head(user)).unreadCount, 0);
    }),
  ];
}

async function markEveryState(inbox: Inbox, mark: InboxMark): Promise<void> {
  for (const state of states) {
    const user = newUser();
    const heard: InboxChange[] = [];
    const before = await bringTo(inbox, user, state);
    const head = await inbox.head(user);
    await inbox.follow(user, (change) => heard.push(change));
    const marked = await inbox.mark(user, before.id, mark);

    const expected = after[mark](state);
    assert.deepEqual(stateOf(marked), expected);
    assert.equal(marked.status, expected.read ? 'read' : 'delivered');
    for (const [field, name] of [['readAt', 'read'] as const, ['seenAt', 'seen'] as const, ['archivedAt', 'archived'] as const]) {
      if (state[name] && expected[name]) assert.equal(marked[field], before[field]);
    }
    const { status: _status, readAt, seenAt: _seenAt, archivedAt, ...rest } = marked;
    assert.deepEqual(before, { ...before, ...rest });
    if (mark === 'archived' && !state.read && !state.archived) assert.equal(readAt, archivedAt);

    const isChange = JSON.stringify(expected) !== JSON.stringify(state);
    const since = await inbox.since(user, head);
    assert.ok(since.recovered);
    const change = { epoch: head.epoch, offset: head.offset + 1, unreadCount: expected.read ? 0 : 1, event: mark, notification: marked };
    assert.deepEqual(since.changes, isChange ? [change] : []);
    const page = await inbox.page(user, { limit: 10 });
    assert.deepEqual([page.data, page.unreadCount], [[marked], expected.read ? 0 : 1]);
    // What is announced comes in order: behind another change there is nothing left to come.
    await inbox.append([testItem(user)]);
    while (heard.at(-1)?.event !== 'new') await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(heard.slice(0, -1), isChange ? [change] : []);
  }
}

function tellsOfReading(make: MakeInbox): ConformanceCase {
  return {
    name: 'who waits for something to be read is told by every mark that reads it, and again',
    run: async () => {
      const told: (readonly string[])[] = [];
      const inbox = await make({ limits: TEST_LIMITS, onRead: async (ids) => void told.push(ids) });
      const user = newUser();
      const [one, other] = (await add(inbox, user, 2)).map(({ id }) => id) as [string, string];
      for (const mark of ['seen', 'unread', 'unarchived'] as const) await inbox.mark(user, one, mark);
      assert.deepEqual(told, []);
      for (const mark of ['read', 'read', 'unread'] as const) await inbox.mark(user, one, mark);
      await inbox.markAsRead(user, one);
      assert.deepEqual(told, [[one], [one], [one]]);
      for (const mark of ['archived', 'archived'] as const) await inbox.mark(user, other, mark);
      assert.deepEqual(told.slice(3), [[other], [other]]);
      await inbox.mark(user, other, 'unread');
      // It is archived already, and stays unread.
      await inbox.mark(user, other, 'archived');
      assert.equal(told.length, 5);
      await inbox.close();
    },
  };
}

async function removeAll(inbox: Inbox): Promise<void> {
  const user = newUser();
  const start = await inbox.head(user);
  const items = await add(inbox, user, 3);
  const [read, unread, archived] = items.map(({ id }) => id) as [string, string, string];
  await inbox.markAsRead(user, read);
  await inbox.mark(user, archived, 'archived');
  const counts: number[] = [];
  for (const id of [read, unread, archived]) {
    await inbox.remove(user, id);
    counts.push((await inbox.head(user)).unreadCount);
    await assert.rejects(inbox.remove(user, id), rejectsWith('NOTIFICATION_NOT_FOUND'));
    await assert.rejects(inbox.mark(user, id, 'unread'), rejectsWith('NOTIFICATION_NOT_FOUND'));
  }
  assert.deepEqual(counts, [1, 0, 0]);
  for (const item of items) assert.deepEqual(await inbox.append([item]), [{ ok: true, value: 'repeated' }]);
  assert.deepEqual((await inbox.page(user, { limit: 10 })).data, []);
  const log = await inbox.since(user, start);
  assert.ok(log.recovered);
  assert.deepEqual(offsets(log.changes), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(
    log.changes.slice(-3).map((change) => [change.event, (change as { id: string }).id, change.unreadCount]),
    [
      ['deleted', read, 1],
      ['deleted', unread, 0],
      ['deleted', archived, 0],
    ],
  );
  const [first] = log.changes;
  assert.ok(first?.event === 'new' && first.notification.title === 'Title');
  await add(inbox, user, 1);
  assert.equal((await inbox.head(user)).unreadCount, 1);
}
