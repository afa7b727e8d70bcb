import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ChannelItem, Notification } from '@carillon/contracts';
import type { Inbox, InboxChange } from '../inbox.js';
import type { InboxLimits } from '../redis-inbox.js';

/** Bounds of the inbox under test: few items, so that trimming can be seen. */
export const TEST_LIMITS = { maxItems: 5, retention: 24 * 3600 * 1000 };

/** One case of the suite: `for (const { name, run } of inboxConformance(make)) test(name, run)`. */
export interface ConformanceCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** A rendered notification for tests. */
export function testItem(userId: string, more: Partial<ChannelItem> = {}): ChannelItem {
  return {
    id: randomUUID(),
    userId,
    templateId: 'test',
    priority: 'normal',
    channels: ['in_app'],
    createdAt: Date.now(),
    content: { title: 'Title', body: 'Body 🔔' },
    data: { answer: 42 },
    ...more,
  };
}

/** A user nobody else uses; with braces and bars, which key names must survive. */
export const newUser = () => `auth0|{${randomUUID()}}`;
/** For `assert.rejects`: an error of this code. */
export const rejectsWith = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

/** What an inbox under test may be told; TEST_LIMITS unless told. */
export interface InboxUnderTest {
  readonly limits?: InboxLimits;
  readonly onRead?: (ids: readonly string[]) => Promise<void>;
}
/** Makes an inbox; closed by the suite. */
export type MakeInbox = (told?: InboxUnderTest) => Promise<Inbox>;

/** Declares cases, each with an inbox of its own. */
export function checks(make: MakeInbox) {
  return (name: string, run: (inbox: Inbox) => Promise<void>, told?: InboxUnderTest): ConformanceCase => ({
    name,
    run: async () => {
      const inbox = await make(told);
      await run(inbox).finally(inbox.close);
    },
  });
}

/** Appends new items one after the other, oldest first. */
export async function add(inbox: Inbox, userId: string, count: number): Promise<ChannelItem[]> {
  const items = Array.from({ length: count }, (_, i) => testItem(userId, { createdAt: Date.now() - 1000 + i }));
  for (const item of items) assert.deepEqual(await inbox.append([item]), [{ ok: true, value: 'stored' }]);
  return items;
}

export const offsets = (changes: readonly InboxChange[]) => changes.map(({ offset }) => offset);

/** A list of notifications as a client holds it, by id. */
export type Held = ReadonlyMap<string, Notification>;

/** The list after a change: what any client may rely on. */
export function fold(held: Held, change: InboxChange): Held {
  const after = new Map(held);
  if (change.event === 'deleted') after.delete(change.id);
  else if (change.event !== 'allRead') after.set(change.notification.id, change.notification);
  else {
    for (const [id, one] of after) if (one.readAt === null) after.set(id, { ...one, readAt: change.upTo, status: 'read' });
  }
  return after;
}

/** A list as a page shows it: newest first. */
export const shown = (held: Held): Notification[] =>
  [...held.values()].sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));

/** How many of a list are unread. */
export const unreadOf = (held: Held): number => [...held.values()].filter(({ readAt }) => readAt === null).length;

/** Mulberry32: the same numbers from 0 to 1 in every run. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
