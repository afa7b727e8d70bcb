import { CarillonError, channelDefinition, channelNames, type Json, type Template, templateSchema } from '@carillon/contracts';
import { describe, expect, test } from '@jest/globals';
import { compile } from './compile.js';

const BASE = { id: 't', title: 'Title', body: 'Body', channels: ['in_app', 'email', 'push', 'sms'] } satisfies Template;
const [email, push, sms] = [channelDefinition('email'), channelDefinition('push'), channelDefinition('sms')];
const fault = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    if (error instanceof CarillonError) return [error.code, error.field];
    throw error;
  }
  return undefined;
};

/** Every field of every channel, each with a template in which it holds a text. */
const places = channelNames.flatMap((channel) =>
  Object.entries(channelDefinition(channel).content).map(([name, field]) => {
    const inPart = ['email', 'push', 'sms'].includes(channel);
    const put = (text: string) => ({ ...BASE, ...(inPart ? { [channel]: { [name]: text } } : { [name]: text }) }) as Template;
    return { channel, name, field, put, path: inPart ? `${channel}.${name}` : name };
  }),
);

const BREAKS = ['a\r\nBcc: eve@example.org', 'a\nb', 'a\rb', 'a\u2028b', 'a\u2029b', 'a\u0085b', 'a\u0000b'];

describe.each(places)('a line break in $channel $name', ({ channel, name, field, put, path }) => {
  const start = name === 'url' ? '/' : '';

  test.each(BREAKS)('%j as text of the template', (text) => {
    if (field.singleLine) expect(fault(() => compile(put(start + text)))).toEqual(['TEMPLATE_INVALID', path]);
    else expect(compile(put(text)).render(channelDefinition(channel), {}).content[name]).toBe(text.normalize('NFC'));
  });

  test.each(BREAKS)('%j as a value', (value) => {
    const compiled = compile(put(`${start}{{a}}`));
    const render = () => compiled.render(channelDefinition(channel), { a: value }).content[name];
    if (field.singleLine) {
      expect(fault(() => compiled.check({ a: value }))).toEqual(['TEMPLATE_DATA_INVALID', 'data.a']);
      if (/[\r\n\u2028\u2029]/.test(value)) expect(fault(render)).toEqual(['RENDER_FAILED', undefined]);
    } else {
      compiled.check({ a: value });
      expect(render()).not.toMatch(/[^\P{Cc}\t\r\n]/u);
    }
  });

  test.each(BREAKS)('%j as a value of a declared field', (value) => {
    const compiled = compile({ ...put(`${start}{{a}}`), fields: { a: { type: 'text' } } });
    const expected = field.singleLine ? ['TEMPLATE_DATA_INVALID', 'data.a'] : undefined;
    expect(fault(() => compiled.check({ a: value }))).toEqual(expected);
  });
});

test.each(['from', 'replyTo'])('a line break in %s is refused', (name) => {
  for (const text of BREAKS)
    expect(templateSchema.safeParse({ ...BASE, email: { [name]: text.replace('a', 'a@example.org') } }).success).toBe(false);
  expect(templateSchema.safeParse({ ...BASE, email: { [name]: 'a@example.org' } }).success).toBe(true);
});

describe('what a channel shows', () => {
  test('is its own part, else the title and body, else nothing', () => {
    const { render } = compile({ ...BASE, email: { subject: 'S', html: '<p>{{a}}</p>' } });
    expect(render(email, { a: 'a & b' })).toEqual({ content: { subject: 'S', text: 'Body', html: '<p>a &amp; b</p>' } });
    expect(render(push, {})).toEqual({ content: { title: 'Title', body: 'Body' } });
    expect(render(sms, {})).toEqual({ content: { text: 'Body' } });
  });

  test('goes with the options and the policy the template gives', () => {
    const { render } = compile({ ...BASE, email: { from: 'a@example.org', onUnknown: 'resend' } });
    expect(render(email, {})).toEqual({
      content: { subject: 'Title', text: 'Body' },
      options: { from: 'a@example.org' },
      onUnknown: 'resend',
    });
  });

  test('is escaped in HTML alone', () => {
    const { render } = compile({ ...BASE, email: { subject: '{{a}}', text: '{{a}}', html: '<b title="{{a}}">{{a}}</b>' } });
    expect(render(email, { a: `<i> & "q"` }).content).toEqual({
      subject: `<i> & "q"`,
      text: `<i> & "q"`,
      html: '<b title="&lt;i&gt; &amp; &quot;q&quot;">&lt;i&gt; &amp; &quot;q&quot;</b>',
    });
  });

  test('needs all of its tags', () => {
    expect(fault(() => compile({ ...BASE, sms: { text: '{{a}}' } }).check({}))).toEqual(['TEMPLATE_DATA_MISSING', 'data.a']);
  });

  test('has no more bytes than the channel carries', () => {
    const { check, render } = compile({ ...BASE, push: { body: '{{a}}' } });
    const overhead = Buffer.byteLength(JSON.stringify({ title: 'Title', body: '' }));
    const data = (bytes: number) => ({ a: 'é'.repeat(bytes / 2) });
    const most = (push.maxBytes as number) - overhead - 1;
    expect(render(push, data(most - (most % 2))).content.body).toHaveLength(Math.floor(most / 2));
    expect(fault(() => render(push, data(most + 4)))).toEqual(['CONTENT_TOO_LARGE', undefined]);
    check(data(most + 4));
    expect(render(channelDefinition('in_app'), data(most + 4)).content.body).toBe('Body');
  });

  test.each(['email.subject', 'push.title'])('%s may not grow without bound', (path) => {
    const [channel, name] = path.split('.') as [string, string];
    const { check } = compile({ ...BASE, [channel]: { [name]: '{{a}}' } });
    expect(fault(() => check({ a: 'x'.repeat(1000) }))).toBeUndefined();
    expect(fault(() => check({ a: 'x'.repeat(1001) }))).toEqual(['TEMPLATE_DATA_INVALID', 'data']);
  });
});

describe('the url of a push', () => {
  test.each(['javascript:alert(1)', '//evil.example', 'evil', 'ftp://x.example', 'http://'])('%s is refused', (url) => {
    expect(fault(() => compile({ ...BASE, push: { url } }))).toEqual(['TEMPLATE_INVALID', 'push.url']);
    const { check, render } = compile({ ...BASE, push: { url: '{{a}}' } });
    expect(fault(() => check({ a: url }))).toEqual(['TEMPLATE_DATA_INVALID', 'data']);
    expect(fault(() => render(push, { a: url }))).toEqual(['RENDER_FAILED', undefined]);
  });

  test.each(['https://clinic.example/a?b=c', '/visits/7', 'HTTP://clinic.example'])('%s is taken', (url) => {
    expect(compile({ ...BASE, push: { url } }).render(push, {}).content.url).toBe(url);
    const { check, render } = compile({ ...BASE, push: { url: '{{a}}' } });
    check({ a: url });
    expect(render(push, { a: url }).content.url).toBe(url);
  });

  test('a value cannot lead a path elsewhere', () => {
    const { check } = compile({ ...BASE, push: { url: '/{{a}}' } });
    check({ a: 'visits' });
    expect(fault(() => check({ a: '/evil.example' }))).toEqual(['TEMPLATE_DATA_INVALID', 'data']);
  });

  test('that comes out empty is left out', () => {
    const { check, render } = compile({ ...BASE, push: { url: '{{a}}' }, fields: { a: { type: 'url', optional: true } } });
    check({});
    expect(render(push, {}).content).toEqual({ title: 'Title', body: 'Body' });
  });
});

describe('locales', () => {
  const compiled = compile({
    ...BASE,
    email: { html: '<p>English</p>' },
    locales: {
      de: { title: 'Titel', body: 'Text {{a}}', email: { html: '<p>Deutsch</p>' } },
      'de-AT': { title: 'Titel AT' },
      'zh-Hant': { body: '繁體' },
    },
  });
  const subject = (locale?: string) => compiled.render(email, { a: 'x' }, { locale }).content.subject;

  test.each([
    ['de-AT', 'Titel AT'],
    ['de-at-1996', 'Titel AT'],
    ['de-CH', 'Titel'],
    ['de', 'Titel'],
    ['en-GB', 'Title'],
    ['d', 'Title'],
    ['not a locale', 'Title'],
    [undefined, 'Title'],
  ])('%s reads %s', (locale, expected) => {
    expect(subject(locale)).toBe(expected);
  });

  test('what a variant leaves out is said as in the next one', () => {
    const { content } = compiled.render(email, { a: 'x' }, { locale: 'de-AT' });
    expect(content).toEqual({ subject: 'Titel AT', text: 'Text x', html: '<p>Deutsch</p>' });
    expect(compiled.render(sms, { a: 'x' }, { locale: 'zh-Hant-TW' }).content.text).toBe('繁體');
  });

  test('HTML in another language than the text is left out, a subject alone changes nothing', () => {
    const html = '<p>English</p>';
    const { render } = compile({
      ...BASE,
      email: { html },
      locales: {
        de: { title: 'Titel', body: 'Deutsch' },
        fr: { email: { text: 'Français' } },
        it: { title: 'Titolo' },
        nl: { body: 'Nederlands', email: { html: '<p>Nederlands</p>' } },
        'nl-BE': { body: 'Vlaams' },
      },
    });
    const content = (locale: string) => render(email, {}, { locale }).content;
    expect(content('de')).toEqual({ subject: 'Titel', text: 'Deutsch' });
    expect(content('fr')).toEqual({ subject: 'Title', text: 'Français' });
    expect(content('it')).toEqual({ subject: 'Titolo', text: 'Body', html });
    expect(content('nl')).toEqual({ subject: 'Title', text: 'Nederlands', html: '<p>Nederlands</p>' });
    expect(content('nl-BE')).toEqual({ subject: 'Title', text: 'Vlaams' });
    expect(content('en')).toEqual({ subject: 'Title', text: 'Body', html });
  });

  test('what a channel says by itself is never replaced by the text it keeps away, in whatever language', () => {
    const { render } = compile({
      ...BASE,
      body: 'Your diagnosis is in.',
      email: { subject: 'A message', text: 'Sign in.' },
      push: { title: 'A message', body: 'Open the app.' },
      sms: { text: 'Sign in.' },
      locales: {
        de: { title: 'Diagnose', body: 'Ihre Diagnose ist da.' },
        'de-AT': { push: { title: 'Eine Nachricht', body: 'Öffnen Sie die App.' } },
      },
    });
    const shown = [email, push, sms].map((channel) => render(channel, {}, { locale: 'de' }).content);
    expect(shown).toEqual([
      { subject: 'A message', text: 'Sign in.' },
      { title: 'A message', body: 'Open the app.' },
      { text: 'Sign in.' },
    ]);
    expect(render(push, {}, { locale: 'de-AT' }).content).toEqual({ title: 'Eine Nachricht', body: 'Öffnen Sie die App.' });
    expect(render(channelDefinition('in_app'), {}, { locale: 'de' }).content.body).toBe('Ihre Diagnose ist da.');
  });

  test('any of them may be rendered, so all of their tags are needed', () => {
    expect(fault(() => compiled.check({}))).toEqual(['TEMPLATE_DATA_MISSING', 'data.a']);
    compiled.check({ a: 'x' });
  });

  test.each<[string, Template['locales'], string]>([
    ['a raw tag', { de: { body: '{{{a}}}' } }, 'locales.de.body'],
    ['a line break', { de: { title: 'a\nb' } }, 'locales.de.title'],
    ['an address that is none', { de: { push: { url: 'javascript:x' } } }, 'locales.de.push.url'],
    ['a value in a script', { 'pt-BR': { email: { html: '<script>{{a}}</script>' } } }, 'locales.pt-BR.email.html'],
  ])('%s in a variant is named', (_what, locales, field) => {
    expect(fault(() => compile({ ...BASE, locales }))).toEqual(['TEMPLATE_INVALID', field]);
  });

  test.each<[string, Record<string, unknown>]>([
    ['no language tag', { 'not a tag': {} }],
    ['the same language twice', { 'de-AT': {}, 'de-at': {} }],
    ['an unknown field', { de: { subject: 'x' } }],
    ['an option', { de: { email: { from: 'a@example.org' } } }],
  ])('%s is refused', (_what, locales) => {
    expect(templateSchema.safeParse({ ...BASE, locales }).success).toBe(false);
  });
});

test('data reaches nothing of the language through declared fields', () => {
  const { check, render } = compile({ ...BASE, sms: { text: '[{{a}}]' }, fields: { a: { type: 'text', optional: true } } });
  const data = JSON.parse('{"__proto__":{"a":"x"}}') as Record<string, Json>;
  check(data);
  expect(render(sms, data).content.text).toBe('[]');
});

test('the notification’s own link stands in where the template has none for push, and counts as content', () => {
  const { render } = compile({ ...BASE });
  expect(render(push, {}, { url: '/inbox' }).content.url).toBe('/inbox');
  expect(compile({ ...BASE, push: { url: '/own' } }).render(push, {}, { url: '/inbox' }).content.url).toBe('/own');
  expect(render(channelDefinition('in_app'), {}, { url: '/inbox' }).content.url).toBeUndefined();
  expect(() => compile({ ...BASE, body: 'x'.repeat(2000) }).render(push, {}, { url: `/${'y'.repeat(1500)}` })).toThrow(
    expect.objectContaining({ code: 'CONTENT_TOO_LARGE' }),
  );
});
