import { CarillonError, channelDefinition, type Json, type Template, type TemplateField, templateSchema } from '@carillon/contracts';
import { describe, expect, test } from '@jest/globals';
import { compile } from './compile.js';
import { fallbacks } from './formats.js';

const make = (body: string, fields: Record<string, TemplateField>, rest: Partial<Template> = {}) =>
  compile({ id: 't', title: 'Title', body, channels: ['sms'], fields, ...rest });
const fault = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    if (error instanceof CarillonError) return [error.code, error.field];
    throw error;
  }
  return undefined;
};
const at = { at: { type: 'datetime' } } as const;
const show = (body: string, value: Json, locale?: string, timeZone?: string) =>
  make(body, at).render(channelDefinition('sms'), { at: value }, { locale, timeZone }).content.text;

describe('a time', () => {
  test.each([
    // Lord Howe turns its clocks by half an hour.
    ['2026-04-04T14:59:00Z', 'Australia/Lord_Howe', 'April 5, 2026 at 1:59 AM', 'GMT+11'],
    ['2026-04-04T15:00:00Z', 'Australia/Lord_Howe', 'April 5, 2026 at 1:30 AM', 'GMT+10:30'],
    ['2026-10-03T15:29:00Z', 'Australia/Lord_Howe', 'October 4, 2026 at 1:59 AM', 'GMT+10:30'],
    ['2026-10-03T15:30:00Z', 'Australia/Lord_Howe', 'October 4, 2026 at 2:30 AM', 'GMT+11'],
    ['2026-01-01T18:15:00Z', 'Asia/Kathmandu', 'January 2, 2026 at 12:00 AM', 'GMT+5:45'],
    ['2026-03-29T00:59:00Z', 'Europe/Vienna', 'March 29, 2026 at 1:59 AM', 'GMT+1'],
    ['2026-03-29T01:00:00Z', 'Europe/Vienna', 'March 29, 2026 at 3:00 AM', 'GMT+2'],
    ['2026-11-01T05:30:00Z', 'America/New_York', 'November 1, 2026 at 1:30 AM', 'EDT'],
    ['2026-11-01T06:30:00Z', 'America/New_York', 'November 1, 2026 at 1:30 AM', 'EST'],
  ])('%s in %s is %s %s', (value, zone, both, name) => {
    expect(show('{{at}} {{at.zone}}', value, 'en', zone)).toBe(`${both} ${name}`);
  });

  test('shows in the recipient’s locale, piece by piece', () => {
    const body = '{{at.date}} | {{at.time}} | {{at.zone}}';
    expect(show(body, '2026-12-24T18:00:00+01:00', 'de-AT', 'Europe/Vienna')).toBe('24. Dezember 2026 | 18:00 | MEZ');
    expect(show(body, '2026-12-24T18:00:00+01:00', 'en', 'Europe/Vienna')).toBe('December 24, 2026 | 6:00 PM | GMT+1');
  });

  test('is in English and UTC where nothing is known, or what is known is of no use', () => {
    const expected = 'December 24, 2026 at 5:00 PM UTC';
    expect(show('{{at}} {{at.zone}}', Date.UTC(2026, 11, 24, 17))).toBe(expected);
    expect(show('{{at}} {{at.zone}}', Date.UTC(2026, 11, 24, 17), 'not a locale', 'Middle/Earth')).toBe(expected);
  });

  test('has no character that would make an SMS dearer', () => {
    expect(show('{{at}} {{at.time}}', 0, 'en', 'UTC')).toMatch(/^[\x20-\x7e]*$/);
  });

  test.each<[Json]>([
    ['2026-02-30T00:00:00Z'],
    ['2026-01-01T24:00:00Z'],
    ['2026-01-01T10:00:00'],
    ['2026-01-01'],
    ['2026-01-01T10:00:00+25:00'],
    ['tomorrow'],
    ['1767225600000'],
    [1.5],
    [9e15],
    [true],
    [{}],
  ])('is not %j', (value) => {
    expect(fault(() => make('{{at}}', at).check({ at: value }))).toEqual(['TEMPLATE_DATA_INVALID', 'data.at']);
  });

  test.each<[Json]>([['2026-01-01T10:00Z'], ['2026-01-01T10:00:00.123456-03:30'], ['2024-02-29T00:00:00Z'], [0], [-1]])(
    'is %j',
    (value) => {
      expect(fault(() => make('{{at}}', at).check({ at: value }))).toBeUndefined();
    },
  );
});

describe('a number', () => {
  const number = (value: Json, locale: string) =>
    make('{{n}}', { n: { type: 'number' } }).render(channelDefinition('sms'), { n: value }, { locale }).content.text;

  test.each<[number, string, string]>([
    [1234.5, 'de', '1.234,5'],
    [1234.5, 'en', '1,234.5'],
    [0.0005, 'en', '0.0005'],
    [0.1 + 0.2, 'en', '0.3'],
    [9007199254740991, 'en', '9,007,199,254,740,991'],
  ])('%d in %s is %s', (value, locale, expected) => {
    expect(number(value, locale)).toBe(expected);
  });

  test.each<[Json]>([['7'], [true], [[]]])('is not %j', (value) => {
    expect(fault(() => make('{{n}}', { n: { type: 'number' } }).check({ n: value }))).toEqual(['TEMPLATE_DATA_INVALID', 'data.n']);
  });
});

describe('a url', () => {
  const check = (value: Json) => fault(() => make('{{u}}', { u: { type: 'url' } }).check({ u: value }));

  test.each<[Json]>([['javascript:alert(1)'], ['mailto:a@example.org'], ['/path'], ['//x.example'], ['https://'], ['https://x\n'], [1]])(
    'is not %j',
    (value) => {
      expect(check(value)).toEqual(['TEMPLATE_DATA_INVALID', 'data.u']);
    },
  );

  test('is http or https', () => {
    expect(check('https://x.example/?a=b#c')).toBeUndefined();
    expect(check('HTTP://x.example')).toBeUndefined();
  });
});

describe('declared fields', () => {
  test('must be there unless they are optional, used or not', () => {
    const { check } = make('x', { a: { type: 'text' }, b: { type: 'number', optional: true } });
    expect(fault(() => check({}))).toEqual(['TEMPLATE_DATA_MISSING', 'data.a']);
    expect(fault(() => check({ a: null }))).toEqual(['TEMPLATE_DATA_MISSING', 'data.a']);
    expect(fault(() => check({ a: 'x' }))).toBeUndefined();
    expect(fault(() => check({ a: 'x', b: null }))).toBeUndefined();
    expect(fault(() => check({ a: 'x', b: 'x' }))).toEqual(['TEMPLATE_DATA_INVALID', 'data.b']);
  });

  test('let other data through', () => {
    expect(fault(() => make('{{a}}', { a: { type: 'text' } }).check({ a: 'x', other: [{}] }))).toBeUndefined();
  });

  test('that are absent are empty, and false in a section', () => {
    const { render } = make('[{{at}}{{at.zone}}{{n}}]{{#n}}yes{{/n}}{{^n}}no{{/n}}{{^at.date}} none{{/at.date}}', {
      n: { type: 'number', optional: true },
      at: { type: 'datetime', optional: true },
    });
    const text = (data: Record<string, Json>) => render(channelDefinition('sms'), data).content.text;
    expect(text({})).toBe('[]no none');
    expect(text({ n: 0 })).toBe('[0]no none');
    expect(text({ n: 2, at: 0 })).toBe('[January 1, 1970 at 12:00 AMUTC2]yes');
  });

  test.each(['{{b}}', '{{a.date}}', '{{at.year}}', '{{#b}}x{{/b}}', '{{#a}}{{.}}{{/a}}', '{{#a}}{{b}}{{/a}}'])(
    'do not include %s',
    (tags) => {
      const fields = { a: { type: 'text' }, ...at } as const;
      expect(fault(() => make(tags, fields))).toEqual(['TEMPLATE_INVALID', 'body']);
      expect(fault(() => make('x', fields, { locales: { de: { email: { html: tags } } } }))).toEqual([
        'TEMPLATE_INVALID',
        'locales.de.email.html',
      ]);
    },
  );

  test('are declared strictly', () => {
    const accepted = (fields: unknown) => templateSchema.safeParse({ id: 't', title: 'T', body: 'B', channels: ['sms'], fields }).success;
    expect(accepted({ a: { type: 'text', class: 'phi', optional: true } })).toBe(true);
    for (const wrong of [{ a: 'text' }, { a: { type: 'date' } }, { a: { type: 'text', class: 'secret' } }, { 'a.b': { type: 'text' } }])
      expect(accepted(wrong)).toBe(false);
    for (const name of ['constructor', 'prototype']) expect(accepted({ [name]: { type: 'text' } })).toBe(false);
  });
});

test.each([
  ['de-at', ['de-AT', 'de']],
  ['zh-Hant-TW', ['zh-Hant-TW', 'zh-Hant', 'zh']],
  ['en-US-x-clinic', ['en-US-x-clinic', 'en-US', 'en']],
  ['nonsense!', []],
])('%s falls back to %j', (locale, expected) => {
  expect(fallbacks(locale)).toEqual(expected);
});
