import { expect, test } from '@jest/globals';
import { counted } from './labels.js';
import { pageLink } from './link.js';
import { ago } from './time.js';

test.each([
  [0, 'now'],
  [-5, 'now'],
  [59, 'now'],
  [60, '1 minute ago'],
  [3_599, '59 minutes ago'],
  [3_600, '1 hour ago'],
  [86_400, 'yesterday'],
  [6 * 86_400, '6 days ago'],
  [7 * 86_400, 'last week'],
  [31 * 86_400, 'last month'],
  [400 * 86_400, 'last year'],
])('%d s are %s', (seconds, words) => {
  expect(ago(1_000_000_000, 1_000_000_000 + seconds * 1_000, 'en')).toBe(words);
});

test('times are told in the language asked for', () => {
  expect(ago(0, 120_000, 'de')).toBe('vor 2 Minuten');
});

test('a count takes the form its language has for it', () => {
  const plural = { one: '# powiadomienie', few: '# powiadomienia', other: '# powiadomień' };
  expect([1, 2, 5, 1_000_000].map((count) => counted(plural, count, 'pl'))).toEqual([
    '1 powiadomienie',
    '2 powiadomienia',
    '5 powiadomień',
    `${(1_000_000).toLocaleString('pl')} powiadomień`,
  ]);
  expect(counted((count) => `${count}!`, 3)).toBe('3!');
  expect(counted({ other: '# in all' }, 1, 'en')).toBe('1 in all');
});

test.each(['/a?b#c', 'a', '?page=2', 'https://clinic.example/', 'HTTP://clinic.example', '//clinic.example/a'])('%s is a link', (url) => {
  expect(pageLink(url)).toBe(url);
});

test.each([
  'javascript:alert(1)',
  ' java\nscript:alert(1)',
  'data:text/html,x',
  'vbscript:x',
  'blob:https://a/b',
  'file:///etc',
  'http://',
  null,
])('%j is none', (url) => {
  expect(pageLink(url)).toBeUndefined();
});
