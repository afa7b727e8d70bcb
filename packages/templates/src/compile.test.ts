import { CarillonError, type ChannelDefinition, type ChannelName, channelDefinition, type Json, type Template } from '@carillon/contracts';
import { describe, expect, test } from '@jest/globals';
import { compile } from './compile.js';

const template = (body: string, title = 'Title'): Template => ({ id: 't', title, body, channels: ['in_app'] as ChannelName[] });
const channel = (content: ChannelDefinition['content']): ChannelDefinition => ({ ...channelDefinition('in_app'), content });
const text = channel({ body: { format: 'text', base: 'body', singleLine: false } });
const html = channel({ body: { format: 'html', base: 'body', singleLine: false } });
const line = channel({ title: { format: 'text', base: 'title', singleLine: true } });
const render = (body: string, data: Record<string, Json>) => compile(template(body)).render(text, data).content.body;
const fault = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    if (error instanceof CarillonError) return [error.code, error.field];
    throw error;
  }
  return undefined;
};

describe('registration refuses', () => {
  test.each([
    ['{{{raw}}}'],
    ['{{&raw}}'],
    ['{{=<% %>=}}'],
    ['{{>partial}}'],
    ['{{#open}}'],
    ['{{/close}}'],
    ['{{unclosed'],
    ['{{__proto__}}'],
    ['{{a.constructor.name}}'],
    ['{{a.prototype}}'],
    ['{{a..b}}'],
    ['{{#a}}'.repeat(21) + '{{/a}}'.repeat(21)],
    ['{{#a}}{{#b}}{{{deep}}}{{/b}}{{/a}}'],
  ])('%j in a body', (body) => {
    expect(fault(() => compile(template(body)))).toEqual(['TEMPLATE_INVALID', 'body']);
  });

  test.each(['two\nlines', 'a\rb', 'a\u0000b', 'a\u2028b'])('the title %j', (title) => {
    expect(fault(() => compile(template('b', title)))).toEqual(['TEMPLATE_INVALID', 'title']);
  });

  test('nothing that is well formed: sections 20 deep, comments, dots', () => {
    compile(template(`${'{{#a}}'.repeat(19)}{{b.c}}${'{{/a}}'.repeat(19)}{{! note }}{{#list}}{{.}}{{/list}}`));
  });
});

describe('data that would be too much work', () => {
  const numbers = Array.from({ length: 150 }, (_, i) => i);
  const nested = `${'{{#l}}'.repeat(4)}${'{{/l}}'.repeat(4)}`;

  test('is refused long before it is done', () => {
    const { check } = compile(template('b', nested));
    const startedAt = performance.now();
    expect(fault(() => check({ l: numbers }))).toEqual(['TEMPLATE_DATA_INVALID', 'data']);
    expect(performance.now() - startedAt).toBeLessThan(500);
  });

  test('counts for all texts together', () => {
    const twice = '{{#l}}{{#l}}{{/l}}{{/l}}';
    expect(fault(() => compile(template(twice)).check({ l: numbers }))).toBeUndefined();
    const email = { subject: twice, text: twice, html: twice };
    expect(fault(() => compile({ ...template(twice), email, push: { title: twice } }).check({ l: numbers }))).toEqual([
      'TEMPLATE_DATA_INVALID',
      'data',
    ]);
  });

  test('is nothing that people send', () => {
    const rows = Array.from({ length: 300 }, (_, i) => ({ a: `item ${i}`, b: 1, c: 'x & y', d: '12', e: true }));
    const { check, render } = compile(template('{{#rows}}{{a}} {{b}} {{c}} {{d}} {{e}}\n{{/rows}}'));
    check({ rows });
    expect(render(text, { rows }).content.body).toContain('item 299 1 x & y 12 true');
  });
});

describe('data that checking lets pass is rendered, and what cannot be rendered is refused', () => {
  const MOST = 128 * 1024;
  const parts = (source: string) => ({ ...template('b'), email: { html: source } });
  const mail = channelDefinition('email');

  test.each<[string, string, string, Record<string, Json>]>([
    ['text around a value', `${'x'.repeat(60_000)}{{a}}`, 'y', {}],
    ['a value shown several times', '{{a}}{{a}}{{a}}', 'y', {}],
    ['a value that is escaped', '{{a}}', '&', {}],
    ['a value in a list', '{{#l}}<b title="&">{{a}}</b>{{/l}}', 'y', { l: [true, true, true] }],
    ['controls that are left out', '{{a}}{{a}}', 'y\u0007', {}],
    ['text in a section', `{{#l}}${'x'.repeat(1000)}{{/l}}{{a}}`, '', { l: Array.from({ length: 100 }, () => 1) }],
  ])('%s', (_name, source, unit, data) => {
    for (const fields of [undefined, { a: { type: 'text' }, l: { type: 'text', optional: true } } as const]) {
      const { check, render } = compile({ ...parts(source), ...(fields && { fields }) });
      const given = fields ? { l: 'x' } : data;
      const isTaken = (length: number) => fault(() => check({ ...given, a: unit.repeat(length) })) === undefined;
      let [taken, refused] = [0, MOST];
      while (unit !== '' && isTaken(taken) && refused - taken > 1) {
        const middle = (taken + refused) >> 1;
        if (isTaken(middle)) taken = middle;
        else refused = middle;
      }
      const html = (length: number) => render(mail, { ...given, a: unit.repeat(length) }).content.html;
      expect(html(taken)?.length).toBeLessThanOrEqual(MOST);
      if (unit === '') continue;
      expect(fault(() => check({ ...given, a: unit.repeat(refused) }))).toEqual(['TEMPLATE_DATA_INVALID', 'data']);
      expect(fault(() => html(refused))).toEqual(['RENDER_FAILED', undefined]);
    }
  });

  test('numbers and times in any language', () => {
    const tags = '{{n}}{{t}}{{t.date}}{{t.time}}{{t.zone}}'.repeat(100);
    const fields = { n: { type: 'number' }, t: { type: 'datetime' } } as const;
    const { check, render } = compile({ ...template(tags), fields });
    const data = { n: -1.7976931348623157e308, t: 8.64e15 };
    expect(fault(() => check(data))).toEqual(['TEMPLATE_DATA_INVALID', 'data']);
    const small = { n: -1234.567, t: 0 };
    check(small);
    for (const locale of ['en', 'de-CH', 'hi', 'ar-EG', 'ff-Adlm', 'en-u-nu-mathbold'])
      expect(render(text, small, { locale, timeZone: 'America/Argentina/Buenos_Aires' }).content.body).toBeDefined();
  });
});

describe('checking data', () => {
  const check = (body: string, data: Record<string, Json>, title = 'Title') => fault(() => compile(template(body, title)).check(data));

  test.each<[string, Record<string, Json>, string | undefined]>([
    ['{{a}}', {}, 'data.a'],
    ['{{a}}', { a: null }, 'data.a'],
    ['{{a.b}}', { a: {} }, 'data.a.b'],
    ['{{#list}}{{name}}{{/list}}', { list: [{ name: 'x' }, {}], name: 'parent' }, 'data.list.1.name'],
    ['{{#o}}{{name}}{{/o}}', { o: { x: 1 }, name: 'parent' }, 'data.o.name'],
    ['{{#missing}}x{{/missing}}', {}, 'data.missing'],
    ['{{^missing}}x{{/missing}}', {}, 'data.missing'],
    ['{{toString}}', {}, 'data.toString'],
    ['{{#flag}}{{a}}{{/flag}}', { flag: true }, 'data.a'],
    ['{{#flag}}{{a}}{{/flag}}', { flag: false }, undefined],
    ['{{^list}}{{a}}{{/list}}', { list: [] }, 'data.a'],
    ['{{#nick}}Hi {{nick}}{{/nick}}', { nick: 'Al' }, undefined],
    ['{{a}}{{b}}{{c}}', { a: 'x', b: 0, c: false }, undefined],
    ['{{#tags}}{{.}} for {{name}}{{/tags}}', { tags: ['a', 'b'], name: 'x' }, undefined],
    ['{{#tags}}{{.}} for {{name}}{{/tags}}', { tags: ['a', 'b'] }, 'data.name'],
    ['no tags', {}, undefined],
  ])('%s with %j', (body, data, field) => {
    expect(check(body, data)).toEqual(field === undefined ? undefined : ['TEMPLATE_DATA_MISSING', field]);
  });

  test.each<[Json]>([[{ x: 1 }], [['x']]])('a tag cannot show %j', (value) => {
    expect(check('{{a}}', { a: value })).toEqual(['TEMPLATE_DATA_INVALID', 'data.a']);
  });

  test.each(['a\nb', 'a\r\nBcc: x', 'a\u0007', 'a\u2029b', 'a\u0085b'])('%j may not stand in a title, and may in a body', (value) => {
    expect(check('x', { a: value }, 'Hello {{a}}')).toEqual(['TEMPLATE_DATA_INVALID', 'data.a']);
    expect(check('{{a}}', { a: value })).toBeUndefined();
  });
});

test('a title may not grow without bound', () => {
  const compiled = compile(template('b', 'Hello {{a}}'));
  compiled.check({ a: 'x'.repeat(900) });
  expect(fault(() => compiled.check({ a: 'x'.repeat(1000) }))).toEqual(['TEMPLATE_DATA_INVALID', 'data']);
});

describe('rendering', () => {
  test('text is not escaped, HTML is', () => {
    const compiled = compile(template('{{a}}'));
    expect(compiled.render(text, { a: `O'Brien & <b> a/b=c` }).content.body).toBe(`O'Brien & <b> a/b=c`);
    expect(compiled.render(html, { a: '<script>' }).content.body).toBe('&lt;script&gt;');
  });

  test('a value is never rendered again', () => {
    expect(render('{{a}}', { a: '{{b}} {{{c}}}', b: 'no', c: 'no' })).toBe('{{b}} {{{c}}}');
  });

  test('a section shows only what its own item has', () => {
    expect(render('{{#list}}[{{name}}]{{/list}}', { list: [{ name: 'a' }, {}], name: 'parent' })).toBe('[a][]');
  });

  test('nothing of the language can be reached through data', () => {
    expect(render('{{toString}}{{a.length}}{{hasOwnProperty}}', { a: 'text' })).toBe('');
    expect(render('{{a}}', JSON.parse('{"a":"x","__proto__":{"b":"y"}}'))).toBe('x');
  });

  test('sections: lists, plain values, falsehood', () => {
    expect(render('{{#l}}{{.}},{{/l}}', { l: [1, 2, 'x'] })).toBe('1,2,x,');
    expect(render('{{#n}}yes {{n}}{{/n}}{{^z}} zero{{/z}}', { n: 3, z: 0 })).toBe('yes 3 zero');
    expect(render('{{#o}}{{b}}{{/o}}', { o: { b: 'in' } })).toBe('in');
  });

  test('controls that no screen shows are stripped, line breaks stay', () => {
    expect(render('{{a}}', { a: 'x\u0000\u0007y\n\tz' })).toBe('xy\n\tz');
  });

  test('text comes out in NFC', () => {
    expect(render('{{a}}', { a: 'e\u0301' })).toBe('\u00e9');
  });

  test('a line break never reaches a one-line field, even unchecked', () => {
    expect(fault(() => compile(template('b', 'Hi {{a}}')).render(line, { a: 'x\ny' }))).toEqual(['RENDER_FAILED', undefined]);
  });

  test('the bound counts text once, however deep it stands', () => {
    const deep = `${'{{#a}}'.repeat(5)}{{b}}${'{{/a}}'.repeat(5)}`;
    expect(render(deep, { a: true, b: 'x'.repeat(100_000) })).toHaveLength(100_000);
  });

  test('a list that blows up a section is stopped', () => {
    const body = `{{#l}}${'x'.repeat(1000)}{{/l}}`;
    expect(fault(() => compile(template(body)).render(text, { l: Array.from({ length: 10_000 }, () => 1) }))).toEqual([
      'RENDER_FAILED',
      undefined,
    ]);
  });
});

test('equal definitions have equal versions, in whatever order their fields are', () => {
  const one = compile({ id: 't', title: 'a', body: 'b', channels: ['in_app'] }).version;
  expect(compile({ channels: ['in_app'], body: 'b', title: 'a', id: 't' }).version).toBe(one);
  expect(compile({ id: 't', title: 'a', body: 'c', channels: ['in_app'] }).version).not.toBe(one);
});

test('versions stored by earlier releases are still those of the same definitions', () => {
  expect(compile({ id: 't', title: 'a', body: 'b', channels: ['in_app'] }).version).toBe('6847c490a689cefa');
  const whole: Template = {
    required: true,
    category: 'visits',
    priority: 'high',
    channels: ['in_app', 'email'],
    body: 'b',
    title: 'a {{x}}',
    id: 't',
  };
  expect(compile(whole).version).toBe('b64201549f2e0037');
});

test('the order of fields within parts is no difference either, their content is', () => {
  const of = (email: Template['email']) => compile({ ...template('b'), email }).version;
  expect(of({ subject: 's', html: 'h' })).toBe(of({ html: 'h', subject: 's' }));
  expect(of({ subject: 's', html: 'h' })).not.toBe(of({ subject: 's', html: 'i' }));
});
