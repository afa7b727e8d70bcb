import { randomUUID } from 'node:crypto';
import type { AuditEvent } from '@carillon/audit';
import type { ClientFrame, Notification } from '@carillon/contracts';
import { createMemoryInbox } from '@carillon/inbox';
import { beforeEach, expect, test } from '@jest/globals';
import { answer } from './requests.js';

const USER = 'anna';
let inbox: ReturnType<typeof createMemoryInbox>;
let audited: AuditEvent[];
let parts: Parameters<typeof answer>[0];
beforeEach(() => {
  inbox = createMemoryInbox({ maxItems: 500, retention: 1e12 });
  audited = [];
  const { markAsRead, markAllAsRead } = inbox;
  const audit = { note: (event: AuditEvent) => void audited.push(event) };
  parts = { inbox, audit, markAsRead, markAllAsRead };
});

async function append(more: object = {}): Promise<string> {
  const item = { id: randomUUID(), userId: USER, templateId: 't', priority: 'normal', channels: ['in_app'], data: {} } as const;
  await inbox.append([{ ...item, channels: ['in_app'], createdAt: Date.now(), content: { title: 'a', body: 'b' }, ...more }]);
  return item.id;
}
const ask = (frame: object) => answer(parts, USER, frame as ClientFrame);

test('every mark is answered by ok, made once, and on record', async () => {
  const id = await append();
  const frames = ['markAsSeen', 'markAsRead', 'markAsUnread', 'archive', 'unarchive', 'delete'] as const;
  const start = await inbox.head(USER);
  for (const type of frames) expect(await ask({ type, notificationId: id })).toEqual({ type: 'ok' });
  const made = await inbox.since(USER, start);
  expect(made.recovered && made.changes.map(({ event }) => event)).toEqual(['seen', 'read', 'unread', 'archived', 'unarchived', 'deleted']);
  const actor = { type: 'user', name: USER };
  expect(audited).toEqual(frames.map((frame) => ({ actor, action: 'inbox.changed', users: [USER], about: { frame }, ids: [id] })));
});

test.each(['markAsRead', 'markAsUnread', 'markAsSeen', 'archive', 'unarchive', 'delete'] as const)(
  '%s of what is unknown, or no id at all, is refused and on record without it',
  async (type) => {
    for (const notificationId of [randomUUID(), 'a word that is no id'])
      await expect(ask({ type, notificationId })).rejects.toMatchObject({ code: 'NOTIFICATION_NOT_FOUND', field: 'notificationId' });
    const record = { action: 'inbox.changed', about: { frame: type }, outcome: 'NOTIFICATION_NOT_FOUND' };
    expect(audited).toMatchObject([record, record]);
    expect(audited.some(({ ids }) => ids)).toBe(false);
  },
);

test('a list is narrowed by every filter and read on by its cursor', async () => {
  const care = await append({ createdAt: 1_900_000_000_000, category: 'care' });
  const thread = await append({ createdAt: 1_900_000_000_001, threadId: 't' });
  const tagged = await append({ createdAt: 1_900_000_000_002, tags: ['x', 'y'] });
  await ask({ type: 'archive', notificationId: tagged });
  const list = async (filter: object) => (await ask({ type: 'getNotifications', requestId: 1, ...filter })) as never as Page;
  type Page = { data: Notification[]; nextCursor?: string };
  for (const [filter, ids] of [
    [{}, [tagged, thread, care]],
    [{ unread: true }, [thread, care]],
    [{ unread: false }, [tagged]],
    [{ archived: false }, [thread, care]],
    [{ category: 'care' }, [care]],
    [{ threadId: 't' }, [thread]],
    [{ tag: 'y', archived: true }, [tagged]],
    [{ since: 1_900_000_000_001 }, [tagged, thread]],
    [{ unread: true, offset: 1 }, [care]],
  ] as const)
    expect([filter, (await list(filter)).data.map(({ id }) => id)]).toEqual([filter, ids]);
  const first = await list({ limit: 1, unread: true });
  const rest = await list({ limit: 1, unread: true, cursor: first.nextCursor });
  expect([first.data[0]?.id, rest.data[0]?.id, rest.nextCursor]).toEqual([thread, care, undefined]);
  await expect(list({ cursor: 'x' })).rejects.toMatchObject({ code: 'FIELD_INVALID', field: 'cursor' });
  await expect(list({ cursor: first.nextCursor, offset: 0 })).rejects.toMatchObject({ code: 'FIELD_INVALID', field: 'cursor' });
});

test('a ping is answered, and is on no record', async () => {
  expect(await ask({ type: 'ping' })).toEqual({ type: 'ok' });
  expect(audited).toEqual([]);
});
