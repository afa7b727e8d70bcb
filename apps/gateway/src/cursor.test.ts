import { expect, test } from '@jest/globals';
import { Cursor } from './cursor.js';

const nowhere = { push() {}, fail() {} };

test('a cursor keeps the place it started from and nothing that was read with it', () => {
  const cursor = new Cursor(nowhere);
  const resumed = { epoch: 'a', offset: 1, unreadCount: 2, changes: ['a whole log'] };
  cursor.start(resumed);
  expect(cursor.head).toEqual({ epoch: 'a', offset: 1, unreadCount: 2 });
});

test('another log that began while the old one was caught up with is still to be told', () => {
  const cursor = new Cursor({ ...nowhere, isCrowded: true, catchUp() {} });
  cursor.start({ epoch: 'old', offset: 1, unreadCount: 0 });
  cursor.lost({ epoch: 'new', offset: 5, unreadCount: 0, data: [] });
  expect(cursor.caughtUp({ epoch: 'old', offset: 3, unreadCount: 0 })).toBe(false);
  const there = { epoch: 'new', offset: 5, unreadCount: 0 };
  // A reading of the new log that finds no more settles it.
  expect([cursor.caughtUp(there), cursor.caughtUp(there)]).toEqual([false, true]);
  expect(cursor.isBehind).toBe(false);
});
