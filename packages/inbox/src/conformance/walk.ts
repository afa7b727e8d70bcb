import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type ChannelItem, inboxMarks } from '@carillon/contracts';
import type { Head, Inbox, InboxChange } from '../inbox.js';
import {
  type ConformanceCase,
  checks,
  fold,
  type Held,
  type MakeInbox,
  newUser,
  seeded,
  shown,
  TEST_LIMITS,
  testItem,
  unreadOf,
} from './suite.js';

const STEPS = 600;

/** Long ways through everything that can be done, at random but the same in every run. */
export function walkCases(make: MakeInbox): ConformanceCase[] {
  const check = checks(make);
  const small = { limits: { ...TEST_LIMITS, maxItems: 8 } };
  return [1, 2].map((seed) =>
    check(
      `way ${seed}: what is followed, what is caught up with and what is read are one and the same, at every step`,
      (inbox) => walk(inbox, seed),
      small,
    ),
  );
}

/** One thing done to an inbox; what is unknown there is refused. */
function stepper(inbox: Inbox, userId: string, random: () => number) {
  const items: ChannelItem[] = [];
  const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)];
  const start = Date.now() - 60_000;
  // Mostly of the newest, so that most are still there.
  const someId = () => pick(random() < 0.8 ? items.slice(-10) : items)?.id ?? randomUUID();
  return async (): Promise<void> => {
    const dice = random();
    if (dice < 0.28) {
      const item = testItem(userId, { createdAt: start + items.length * 10 - Math.floor(random() * 5) * 10 });
      items.push(item);
      await inbox.append([item]);
    } else if (dice < 0.32) await inbox.append([pick(items) ?? testItem(userId)]);
    else if (dice < 0.36) await inbox.markAllAsRead(userId);
    else if (dice < 0.42) await inbox.remove(userId, someId());
    else await inbox.mark(userId, someId(), pick(inboxMarks) ?? 'read');
  };
}

const unlessUnknown = (error: unknown) => {
  if ((error as { code?: string }).code !== 'NOTIFICATION_NOT_FOUND') throw error;
};

async function walk(inbox: Inbox, seed: number): Promise<void> {
  const user = newUser();
  const random = seeded(seed);
  const step = stepper(inbox, user, random);
  const heard: InboxChange[] = [];
  const made: InboxChange[] = [];
  const kept: { readonly head: Head; readonly held: Held }[] = [];
  let [head, held]: [Head, Held] = [await inbox.head(user), new Map()];
  await inbox.follow(user, (change) => heard.push(change));

  for (let i = 0; i < STEPS; i++) {
    await step().catch(unlessUnknown);
    const [page, missed] = [await inbox.page(user, { limit: 100 }), await inbox.since(user, head)];
    assert.ok(missed.recovered);
    for (const change of missed.changes) {
      assert.deepEqual([change.epoch, change.offset], [head.epoch, head.offset + 1]);
      held = fold(held, change);
      assert.equal(change.unreadCount, unreadOf(held));
      head = { epoch: change.epoch, offset: change.offset, unreadCount: change.unreadCount };
    }
    made.push(...missed.changes);
    assert.deepEqual(page, { data: shown(held), ...head });
    kept.push({ head, held });
  }

  while (heard.length < made.length) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(heard, made);
  assert.ok(made.length > STEPS / 2, 'most steps change something');
  assert.deepEqual(new Set(made.map(({ event }) => event)), new Set(['new', ...inboxMarks, 'allRead', 'deleted']));
  for (let i = 0; i < 20; i++) await catchesUp(inbox, user, kept[STEPS - 1 - Math.floor(random() * 200)] as (typeof kept)[number], held);
}

/** Who was away since a step, and catches up, has what everybody has. */
async function catchesUp(
  inbox: Inbox,
  userId: string,
  { head, held }: { readonly head: Head; readonly held: Held },
  now: Held,
): Promise<void> {
  const missed = await inbox.since(userId, head);
  assert.ok(missed.recovered);
  assert.deepEqual(shown(missed.changes.reduce(fold, held)), shown(now));
}
