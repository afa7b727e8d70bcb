import { expect, test } from '@jest/globals';
import { createKeys, hashTag } from './keys.js';

const keys = createKeys('notification:');

test('the hash of a user has the name the contract gives it', () => {
  expect(keys.inbox('user-123')[0]).toBe('notification:notifications:{user-123}');
});

test('all keys of a user share one tag, whatever the user id holds', () => {
  for (const user of ['user-123', 'auth0|abc', '}', '{', '{}', 'a{b}c', 'ü 🔔', '%7D']) {
    const tags = [...keys.inbox(user), keys.inboxChannel(user)].map(hashTag);
    expect([user, new Set(tags).size]).toEqual([user, 1]);
    expect(tags[0]).not.toMatch(/[{}]|^$/);
  }
});

test('different users never share a key', () => {
  const users = ['}', '%7D', '%257D', '{', '%7B', 'a', 'a}', 'a{'];
  expect(new Set(users.map((user) => keys.inbox(user)[0])).size).toBe(users.length);
});

test('a record and its idempotency entry share a tag, and records spread over shards', () => {
  const ids = Array.from({ length: 256 }, (_, i) => `00000000-0000-7000-8000-0000000000${i.toString(16).padStart(2, '0')}`);
  for (const id of ids) expect(hashTag(keys.delivery(id))).toBe(hashTag(keys.idempotency(id)));
  expect(new Set(ids.map((id) => hashTag(keys.delivery(id)))).size).toBe(64);
});
