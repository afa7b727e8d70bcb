import type { InboxFilter, InboxMark } from '@carillon/contracts';
import { createMemoryInbox } from '@carillon/inbox';
import { waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { item, newUser, start } from '../test/harness.js';
import type { Filter, InboxView } from './index.js';

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
function randomOf(seed: number) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const filters: Filter[] = [{}, { unread: true }, { unread: false }, { archived: true }, { archived: false, category: 'b' }, { tag: 'x' }];
const MARKS: InboxMark[] = ['read', 'unread', 'seen', 'archived', 'unarchived'];
const STEPS = 150;

test.each([1, 2, 3, 4])('whatever happens, every list ends as the server has it, and each new one was told once: seed %i', async (seed) => {
  const random = randomOf(seed);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  // Small enough to be trimmed on the way.
  const inbox = createMemoryInbox({ maxItems: 50, retention: 86_400_000 });
  const server = await start({
    // As with Redis, changes overtake the page they came after.
    inbox: {
      ...inbox,
      page: async (user, request) => {
        const page = await inbox.page(user, request);
        await new Promise((resolve) => setTimeout(resolve, random() * 10));
        return page;
      },
    },
  });
  const userId = newUser();
  const now = Date.now();
  // Some come late, between others that are there already.
  const one = () =>
    item(userId, { createdAt: now - Math.floor(random() * 50), category: pick(['a', 'b']), tags: random() < 0.5 ? ['x'] : [] });
  const sent: string[] = [];
  const append = async (count: number) => {
    const items = Array.from({ length: count }, one);
    sent.push(...items.map(({ id }) => id));
    await server.inbox.append(items);
  };
  try {
    await append(25);
    const known = sent.length;
    const { client, heard } = await server.signIn(userId, { pageSize: 10 });
    const views = filters.map((filter): [Filter, InboxView] => [filter, client.view(filter)]);
    const ids = async () => (await server.inbox.page(userId, { limit: 100 })).data.map(({ id }) => id);
    const refused: unknown[] = [];
    for (let step = 0; step < STEPS; step++) {
      const dice = random();
      const id = pick(await ids());
      if (dice < 0.25) await append(1 + Math.floor(random() * 3));
      else if (dice < 0.5 && id) await server.inbox.mark(userId, id, pick(MARKS));
      else if (dice < 0.55 && id) await server.inbox.remove(userId, id);
      else if (dice < 0.58) await server.inbox.markAllAsRead(userId);
      else if (dice < 0.65) server.proxy.cut();
      else if (dice < 0.75 && id) {
        const act = pick(['markAsRead', 'markAsUnread', 'archive', 'unarchive', 'delete'] as const);
        client[act](id).catch((error) => refused.push(error.code));
      } else if (dice < 0.77) void client.markAllAsRead();
      else if (dice < 0.82) void client.markAsSeen((await ids()).slice(0, 3));
      else if (dice < 0.9) void pick([client, ...views.map(([, view]) => view)]).loadMore();
      if (random() < 0.3) await new Promise((resolve) => setTimeout(resolve, random() * 20));
    }
    await waitFor(() => client.snapshot.state === 'connected', { what: 'the connection', timeout: 20_000 });
    await client.markAllAsRead();
    const all: [Filter, { notifications: readonly { id: string }[]; hasMore: boolean }][] = [
      ...views,
      [
        {},
        {
          get notifications() {
            return client.snapshot.notifications;
          },
          get hasMore() {
            return client.snapshot.hasMore;
          },
        },
      ],
    ];
    await waitFor(
      async () => {
        for (const [filter, { notifications, hasMore }] of all) {
          const page = await server.inbox.page(userId, { ...(filter as InboxFilter), limit: 100 });
          const whole = [...page.data];
          if (page.nextCursor)
            whole.push(...(await server.inbox.page(userId, { ...(filter as InboxFilter), limit: 100, cursor: page.nextCursor })).data);
          expect(notifications).toEqual(hasMore ? whole.slice(0, notifications.length) : whole);
        }
        expect(client.snapshot.unreadCount).toBe((await server.inbox.head(userId)).unreadCount);
        return true;
      },
      { what: 'lists equal to the server’s', timeout: 5000 },
    );
    expect(heard.notification.map(({ id }) => id)).toEqual(sent.slice(known));
    expect(heard.closed).toEqual([]);
    // A mark of what was deleted meanwhile is all that may be refused.
    expect(refused.filter((code) => code !== 'NOTIFICATION_NOT_FOUND')).toEqual([]);
  } finally {
    await server.stop();
  }
});
