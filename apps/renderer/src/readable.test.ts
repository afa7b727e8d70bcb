import { expect, test } from '@jest/globals';
import { readHtml } from './readable.js';

test('resolves references and finds the way back', () => {
  const html = '<p>12&#x2F;03&#47;1984 &amp; &quot;x&quot;&nbsp;end</p>';
  const { text, at } = readHtml(html);
  expect(text).toBe('<p>12/03/1984 & "x"\u00a0end</p>');
  const date = text.indexOf('12');
  expect(html.slice(at(date), at(date + 10))).toBe('12&#x2F;03&#47;1984');
  const quoted = text.indexOf('"x"');
  expect(html.slice(at(quoted), at(quoted + 3))).toBe('&quot;x&quot;');
  expect(html.slice(at(0))).toBe(html);
  expect(at(text.length)).toBe(html.length);
});

test('leaves alone what is no reference', () => {
  for (const html of ['a & b', '&unknown;', '&#x110000;', '&#;', '&amp']) expect(readHtml(html).text).toBe(html);
});
