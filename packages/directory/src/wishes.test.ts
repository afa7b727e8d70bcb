import type { Preferences } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { type Matter, wants, without } from './wishes.js';

const mail: Matter = { channel: 'email', category: 'news' };

test.each<[string, Preferences, Matter, boolean]>([
  ['what is absent is wanted', {}, mail, true],
  ['mute stops all', { mute: true, channels: { email: true }, categories: { news: true } }, mail, false],
  ['mute stops what has no category', { mute: true }, { channel: 'in_app' }, false],
  ['mute that is off stops nothing', { mute: false }, mail, true],
  ['a channel that is off', { channels: { email: false } }, mail, false],
  ['another channel that is off', { channels: { sms: false } }, mail, true],
  ['a category that is off', { categories: { news: false } }, mail, false],
  ['another category that is off', { categories: { other: false } }, mail, true],
  ['a category that is off, for what has none', { categories: { news: false } }, { channel: 'email' }, true],
  ['a category that is off on this channel', { categories: { news: { email: false } } }, mail, false],
  ['a category that is off on another channel', { categories: { news: { sms: false } } }, mail, true],
  [
    'a channel that is off stays off, whatever the category',
    { channels: { email: false }, categories: { news: { email: true } } },
    mail,
    false,
  ],
  ['a channel that is off stays off, though the category is on', { channels: { email: false }, categories: { news: true } }, mail, false],
])('%s', (_name, preferences, matter, expected) => {
  expect(wants(preferences, matter)).toBe(expected);
  expect(wants(preferences, { ...matter, required: true })).toBe(true);
});

test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('%s is a category like any other', (category) => {
  const matter = { channel: 'email' as const, category };
  expect(wants({ categories: { news: false } }, matter)).toBe(true);
  const stopped = JSON.parse(JSON.stringify(without({ categories: { news: true } }, matter))) as Preferences;
  expect(wants(stopped, matter)).toBe(false);
  expect(wants(stopped, mail)).toBe(true);
  expect(wants(stopped, { channel: 'email', category: 'isPrototypeOf' })).toBe(true);
  expect(({} as Record<string, unknown>).email).toBeUndefined();
});

test('unsubscribing turns off that and nothing else', () => {
  const before: Preferences = { channels: { sms: false }, categories: { news: { push: false }, tips: true } };
  expect(without(before, mail)).toEqual({ channels: { sms: false }, categories: { news: { push: false, email: false }, tips: true } });
  expect(without(before, { channel: 'email', category: 'tips' })).toEqual({
    channels: { sms: false },
    categories: { news: { push: false }, tips: { email: false } },
  });
  expect(without(before, { channel: 'email' })).toEqual({ ...before, channels: { sms: false, email: false } });
  expect(without({ channels: { email: true } }, { channel: 'email' })).toEqual({ channels: { email: false } });
});

test.each<[Preferences, Omit<Matter, 'required'>]>([
  [{ channels: { email: false } }, { channel: 'email' }],
  [{ categories: { news: false } }, mail],
  [{ categories: { news: { email: false } } }, mail],
])('unsubscribing again changes nothing: %j', (preferences, matter) => {
  expect(without(preferences, matter)).toBe(preferences);
});
