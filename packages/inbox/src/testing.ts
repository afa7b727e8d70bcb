import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ChannelItem } from '@carillon/contracts';
import { markCases } from './conformance/marks.js';
import { pageCases } from './conformance/pages.js';
import {
  add,
  type ConformanceCase,
  checks,
  type MakeInbox,
  newUser,
  offsets,
  rejectsWith,
  TEST_LIMITS,
  testItem,
} from './conformance/suite.js';
import { walkCases } from './conformance/walk.js';
import type { InboxChange } from './inbox.js';

export { type ConformanceCase, type MakeInbox, TEST_LIMITS, testItem } from './conformance/suite.js';

/** What makes an inbox: memory and Redis pass the same. */
export function inboxConformance(make: MakeInbox): ConformanceCase[] {
  const check = checks(make);

  return [
    ...markCases(make),
    ...pageCases(make),
    ...walkCases(make),
    check('keeps what was appended, newest first, with everything it was given', async (inbox) => {
      const user = newUser();
      const whole = testItem(user, { category: 'care', threadId: 't', tags: ['a', 'b'], url: '/x', createdAt: Date.now() - 5000 });
      const later = testItem(user);
      assert.deepEqual(await inbox.append([later, whole]), [
        { ok: true, value: 'stored' },
        { ok: true, value: 'stored' },
      ]);
      const page = await inbox.page(user, { limit: 10 });
      assert.deepEqual(
        page.data.map(({ id }) => id),
        [later.id, whole.id],
      );
      const { deliveredAt, ...shown } = page.data[1] as NonNullable<(typeof page.data)[1]>;
      assert.ok(Math.abs((deliveredAt ?? 0) - Date.now()) < 5000);
      assert.deepEqual(shown, {
        id: whole.id,
        userId: user,
        templateId: 'test',
        title: 'Title',
        body: 'Body 🔔',
        data: { answer: 42 },
        channels: ['in_app'],
        priority: 'normal',
        category: 'care',
        threadId: 't',
        tags: ['a', 'b'],
        url: '/x',
        status: 'delivered',
        createdAt: whole.createdAt,
        readAt: null,
        seenAt: null,
        archivedAt: null,
        error: null,
      });
      assert.equal(page.unreadCount, 2);
      assert.equal(page.offset, 2);
      assert.equal(page.nextCursor, undefined);
    }),
    check('an id appended again changes nothing, at once, later, and after it was trimmed', async (inbox) => {
      const user = newUser();
      const once = testItem(user, { createdAt: Date.now() - 10_000 });
      const answers = (await Promise.all([inbox.append([once]), inbox.append([once, once])])).flat();
      assert.deepEqual(answers.map((answer) => answer.ok && answer.value).sort(), ['repeated', 'repeated', 'stored']);
      const { data, offset, unreadCount } = await inbox.page(user, { limit: 10 });
      assert.deepEqual([data.length, offset, unreadCount], [1, 1, 1]);
      await add(inbox, user, TEST_LIMITS.maxItems);
      const before = await inbox.head(user);
      assert.deepEqual(await inbox.append([once]), [{ ok: true, value: 'repeated' }]);
      assert.deepEqual(await inbox.head(user), before);
    }),
    check('every change takes the next offset, whoever makes it', async (inbox) => {
      const user = newUser();
      const start = await inbox.head(user);
      assert.equal(start.offset, 0);
      await Promise.all(Array.from({ length: 4 }, () => inbox.append([testItem(user)])));
      const [first] = (await inbox.page(user, { limit: 1 })).data;
      await inbox.markAsRead(user, first?.id as string);
      await inbox.markAllAsRead(user);
      const all = await inbox.since(user, start);
      assert.ok(all.recovered);
      assert.deepEqual(offsets(all.changes), [1, 2, 3, 4, 5, 6]);
      assert.deepEqual(
        all.changes.map(({ event }) => event),
        ['new', 'new', 'new', 'new', 'read', 'allRead'],
      );
      assert.deepEqual(
        all.changes.map(({ unreadCount }) => unreadCount),
        [1, 2, 3, 4, 3, 0],
      );
    }),
    check('reading: once counts once, an unknown one is refused, another user changes nothing', async (inbox) => {
      const [user, other] = [newUser(), newUser()];
      const [item] = (await add(inbox, user, 2)) as [ChannelItem];
      await inbox.markAsRead(user, item.id);
      const after = await inbox.head(user);
      await inbox.markAsRead(user, item.id);
      assert.deepEqual(await inbox.head(user), after);
      assert.equal(after.unreadCount, 1);
      await assert.rejects(inbox.markAsRead(other, item.id), rejectsWith('NOTIFICATION_NOT_FOUND'));
      await assert.rejects(inbox.markAsRead(user, randomUUID()), rejectsWith('NOTIFICATION_NOT_FOUND'));
      const shown = (await inbox.page(user, { limit: 10 })).data.find(({ id }) => id === item.id);
      assert.equal(shown?.status, 'read');
      assert.ok(shown?.readAt);
    }),
    check('marking all with nothing unread is no change', async (inbox) => {
      const user = newUser();
      await add(inbox, user, 2);
      await inbox.markAllAsRead(user);
      const after = await inbox.head(user);
      await inbox.markAllAsRead(user);
      assert.deepEqual(await inbox.head(user), after);
      assert.ok((await inbox.page(user, { limit: 10 })).data.every(({ readAt }) => readAt));
    }),
    check('holds no more than the limit; the oldest leave by logged deletes', async (inbox) => {
      const user = newUser();
      const start = await inbox.head(user);
      const items = await add(inbox, user, TEST_LIMITS.maxItems + 2);
      const page = await inbox.page(user, { limit: 100 });
      assert.deepEqual(
        page.data.map(({ id }) => id),
        items
          .slice(2)
          .reverse()
          .map(({ id }) => id),
      );
      assert.equal(page.unreadCount, TEST_LIMITS.maxItems);
      const log = await inbox.since(user, start);
      assert.ok(log.recovered);
      const deleted = log.changes.filter((change) => change.event === 'deleted').map((change) => (change as { id: string }).id);
      assert.deepEqual(deleted, [items[0]?.id, items[1]?.id]);
      assert.equal(log.changes.at(-1)?.unreadCount, TEST_LIMITS.maxItems);
    }),
    check('what was deleted since is still replayed whole', async (inbox) => {
      const user = newUser();
      const start = await inbox.head(user);
      const items = await add(inbox, user, TEST_LIMITS.maxItems + 1);
      const log = await inbox.since(user, start);
      assert.ok(log.recovered);
      const [first] = log.changes;
      assert.ok(first?.event === 'new');
      assert.equal(first.notification.id, items[0]?.id);
      assert.equal(first.notification.title, 'Title');
    }),
    check('what is too old leaves when the inbox is next used', async (inbox) => {
      const user = newUser();
      await inbox.append([testItem(user, { createdAt: Date.now() - TEST_LIMITS.retention - 1000 })]);
      assert.equal((await inbox.page(user, { limit: 10 })).data.length, 0);
      assert.equal((await inbox.head(user)).unreadCount, 0);
    }),
    check('pages by offset and by cursor show each notification once, equal times included', async (inbox) => {
      const user = newUser();
      const at = Date.now() - 1000;
      const ids = Array.from({ length: TEST_LIMITS.maxItems }, () => testItem(user, { createdAt: at }));
      await inbox.append(ids);
      const all = (await inbox.page(user, { limit: 100 })).data.map(({ id }) => id);
      assert.deepEqual(all, [...all].sort().reverse());
      const byCursor: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await inbox.page(user, cursor === undefined ? { limit: 2 } : { limit: 2, cursor });
        byCursor.push(...page.data.map(({ id }) => id));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      assert.deepEqual(byCursor, all);
      assert.deepEqual(
        (await inbox.page(user, { limit: 2, offset: 3 })).data.map(({ id }) => id),
        all.slice(3, 5),
      );
      await assert.rejects(inbox.page(user, { limit: 2, cursor: 'nonsense' }), rejectsWith('FIELD_INVALID'));
    }),
    check('resuming gives all or nothing', async (inbox) => {
      const user = newUser();
      const start = await inbox.head(user);
      await add(inbox, user, 3);
      const part = await inbox.since(user, { ...start, offset: 1 });
      assert.ok(part.recovered);
      assert.deepEqual(offsets(part.changes), [2, 3]);
      const none = await inbox.since(user, { ...start, offset: 3 });
      assert.ok(none.recovered);
      assert.deepEqual(none.changes, []);
      assert.equal((await inbox.since(user, { ...start, offset: 4 })).recovered, false);
      assert.equal((await inbox.since(user, { epoch: 'another', offset: 1 })).recovered, false);
    }),
    check('a follower hears every change of its user, in order, and of no other', async (inbox) => {
      const [user, other] = [newUser(), newUser()];
      const heard: InboxChange[] = [];
      const unfollow = await inbox.follow(user, (change) => heard.push(change));
      const items = await add(inbox, user, 2);
      await inbox.append([testItem(other)]);
      await inbox.markAsRead(user, items[0]?.id as string);
      await inbox.markAllAsRead(user);
      while (heard.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.deepEqual(offsets(heard), [1, 2, 3, 4]);
      const log = await inbox.since(user, { epoch: heard[0]?.epoch as string, offset: 0 });
      assert.ok(log.recovered);
      assert.deepEqual(heard, log.changes);
      await unfollow();
      await inbox.append([testItem(user)]);
      assert.equal((await inbox.head(user)).offset, 5);
      assert.equal(heard.length, 4);
    }),
    check('purging leaves what was sealed for whoever the user is now', async (inbox) => {
      const user = newUser();
      await add(inbox, user, 3);
      const before = await inbox.head(user);
      assert.equal(await inbox.purge(user), 0);
      assert.equal(await inbox.purge(newUser()), 0);
      assert.deepEqual(await inbox.head(user), before);
      assert.equal((await inbox.page(user, { limit: 10 })).data.length, 3);
    }),
    check('forgets a user altogether, and begins anew when something comes', async (inbox) => {
      const [userId, other] = [newUser(), newUser()];
      const before = await add(inbox, userId, 3);
      await add(inbox, other, 1);
      const { epoch } = await inbox.head(userId);
      assert.equal(await inbox.forget(userId), 3);
      assert.deepEqual((await inbox.page(userId, { limit: 10 })).data, []);
      assert.equal((await inbox.head(other)).unreadCount, 1);
      assert.equal((await inbox.since(userId, { epoch, offset: 1 })).recovered, false);
      await add(inbox, userId, 1);
      const { data, unreadCount } = await inbox.page(userId, { limit: 10 });
      assert.equal(unreadCount, 1);
      assert.ok(!data.some(({ id }) => before.some((item) => item.id === id)));
    }),
  ];
}
