import { CarillonError, type ChannelName, channelDefinition, type Json, type Template, type TemplateField } from '@carillon/contracts';
import { describe, expect, test } from '@jest/globals';
import { compile } from './compile.js';
import type { PhiPolicy } from './firewall.js';
import { pin } from './pin.js';

const FIELDS = {
  diagnosis: { type: 'text', class: 'phi' },
  at: { type: 'datetime', class: 'phi' },
  name: { type: 'text', class: 'pii' },
  practice: { type: 'text', class: 'public' },
  note: { type: 'text', optional: true },
} satisfies Record<string, TemplateField>;
const make = (rest: Partial<Template>): Template => ({ id: 't', title: 'T', body: 'B', channels: ['in_app'], fields: FIELDS, ...rest });
const said = (definition: Template, policy?: PhiPolicy) => {
  try {
    compile(definition, undefined, policy).refuseLeaks();
  } catch (error) {
    if (error instanceof CarillonError) return [error.code, error.field, error.message];
    throw error;
  }
  return undefined;
};

describe('registration', () => {
  test.each<[string, Partial<Template>, string, string]>([
    ['the body', { channels: ['push'], body: '{{diagnosis}}' }, 'diagnosis', 'is phi and must not leave by push; say push.body without it'],
    [
      'the title',
      { channels: ['email'], title: '{{diagnosis}}' },
      'diagnosis',
      'is phi and must not leave by email; say email.subject without it',
    ],
    ['own words', { channels: ['sms'], sms: { text: '{{name}}' } }, 'name', 'is pii and must not leave by sms; say sms.text without it'],
    [
      'a section',
      { channels: ['sms'], body: '{{#diagnosis}}x{{/diagnosis}}' },
      'diagnosis',
      'is phi and must not leave by sms; say sms.text without it',
    ],
    [
      'an inverted section',
      { channels: ['sms'], body: '{{^note}}{{^name}}x{{/name}}{{/note}}' },
      'name',
      'is pii and must not leave by sms; say sms.text without it',
    ],
    [
      'a piece of a time',
      { channels: ['email'], body: '{{at.zone}}' },
      'at',
      'is phi and must not leave by email; say email.text without it',
    ],
    [
      'an address',
      { channels: ['push'], push: { url: '/{{name}}' } },
      'name',
      'is pii and must not leave by push; say push.url without it',
    ],
    [
      'HTML',
      { channels: ['email'], email: { html: '<a title="{{diagnosis}}">x</a>' } },
      'diagnosis',
      'is phi and must not leave by email; say email.html without it and without partials that hold it',
    ],
    [
      'another language that falls back',
      { channels: ['push'], locales: { de: { title: '{{name}}' } } },
      'name',
      'is pii and must not leave by push; say push.title without it',
    ],
    [
      'a channel’s words in another language',
      { channels: ['push'], push: { body: 'x' }, locales: { de: {}, 'de-AT': { push: { body: '{{name}}' } } } },
      'name',
      'is pii and must not leave by push; say locales.de-AT.push.body without it',
    ],
  ])('names the field, the channel and the remedy: %s', (_what, rest, name, message) => {
    expect(said(make(rest))).toEqual(['TEMPLATE_INVALID', `fields.${name}`, `fields.${name}: ${message}`]);
  });

  test.each<[string, Partial<Template>]>([
    ['everything in the inbox', { body: '{{diagnosis}} {{at}} {{name}} {{note}}' }],
    ['personal data by mail', { channels: ['email'], body: '{{name}} {{practice}}' }],
    ['what has no class anywhere', { channels: ['sms', 'push'], body: '{{practice}} {{note}}' }],
    [
      'words of the channel’s own in place of all others',
      {
        channels: ['in_app', 'push', 'sms'],
        title: '{{diagnosis}}',
        body: '{{diagnosis}}',
        push: { title: 'A message', body: 'Open the app.' },
        sms: { text: 'Sign in.' },
        locales: { de: { title: '{{name}}', body: '{{diagnosis}}' } },
      },
    ],
    ['words for a channel it does not go to', { channels: ['in_app'], sms: { text: '{{diagnosis}}' } }],
    [
      'HTML that is not shown beside words of another language',
      { channels: ['in_app'], body: '{{diagnosis}}', email: { html: '<p>{{name}}</p>' } },
    ],
  ])('admits %s', (_what, rest) => {
    expect(said(make(rest))).toBeUndefined();
  });

  test('what partials and layouts bring counts', async () => {
    const partials: Record<string, string> = { frame: '<b>{{> content}}</b>{{> foot}}', foot: '{{#at}}{{at.date}}{{/at}}' };
    const definition = make({ channels: ['email'], email: { html: 'x', layout: 'frame' } });
    const { refuseLeaks } = compile(definition, await pin(definition, async (id) => partials[id]));
    expect(refuseLeaks).toThrow(expect.objectContaining({ code: 'TEMPLATE_INVALID', field: 'fields.at' }));
  });
});

describe('the strict policy', () => {
  test.each<[string, Partial<Template>, string]>([
    ['a field without a class', { channels: ['email'], body: '{{note}}' }, 'note'],
    ['any tag of a template without fields', { channels: ['email'], body: '{{person.name}}', fields: undefined as never }, 'person'],
    ['a list', { channels: ['sms'], body: '{{#list}}{{.}}{{/list}}', fields: undefined as never }, 'list'],
    ['a name of every object', { channels: ['sms'], body: '{{toString}}', fields: undefined as never }, 'toString'],
  ])('takes %s for health information', (_what, rest, name) => {
    const { fields, ...others } = make(rest);
    const definition = fields ? { ...others, fields } : others;
    expect(said(definition)).toBeUndefined();
    expect(said({ ...definition, channels: ['in_app'] }, 'strict')).toBeUndefined();
    const [code, field, message] = said(definition, 'strict') ?? [];
    expect([code, field]).toEqual(['TEMPLATE_INVALID', `fields.${name}`]);
    expect(message).toContain('has no class, which counts as phi here, and must not leave by');
    expect(message).toContain('or give it a class');
  });

  test('keeps the link of a request from every channel but the inbox; the template’s own is its own', () => {
    const url = (policy: PhiPolicy, own?: string) =>
      compile(make({ channels: ['push'], ...(own && { push: { url: own } }) }), undefined, policy).render(
        channelDefinition('push'),
        {},
        { url: '/visits/secret' },
      ).content.url;
    expect(url('standard')).toBe('/visits/secret');
    expect(url('strict')).toBeUndefined();
    expect(url('strict', '/inbox')).toBe('/inbox');
  });
});

test('a version of another policy is held back where it would leak, and nowhere else', () => {
  const { render } = compile(make({ channels: ['in_app', 'email', 'push'], body: '{{note}}', push: { body: 'x' } }), undefined, 'strict');
  const data = { diagnosis: 'd', at: 0, name: 'n', practice: 'p', note: 'secret' };
  const show = (channel: ChannelName) => render(channelDefinition(channel), data).content;
  expect(show('in_app').body).toBe('secret');
  expect(show('push')).toEqual({ title: 'T', body: 'x' });
  expect(() => show('email')).toThrow(expect.objectContaining({ code: 'RENDER_FAILED', field: 'fields.note' }));
  expect(() => show('email')).not.toThrow(/secret/);
});

describe('who answers for a text', () => {
  const definition = make({
    body: 'Call +1 555 0100 {{! not }}or write. {{#name}}Dear {{name}}{{/name}}',
    email: { html: '<p>{{practice}} &amp; office@clinic.example</p>' },
    locales: { de: { sms: { text: 'Cafe\u0301: +43 1 555' } } },
    fields: {
      ...FIELDS,
      phone: { type: 'text', class: 'pii' },
      record: { type: 'text', class: 'phi' },
      born: { type: 'datetime', class: 'phi' },
      link: { type: 'url', class: 'public' },
      number: { type: 'number', class: 'pii' },
    },
  });
  const data: Record<string, Json> = {
    phone: '+1 555 0199',
    record: 'MRN 77, +1 555 0199',
    born: '1980-03-01T00:00:00Z',
    link: 'https://clinic.example/?a=b',
    number: 4111111,
    note: 'unclassed@clinic.example',
    other: 'other@clinic.example',
    name: null,
  };
  const compiled = compile(definition);
  const vouchesFor = (found: string, about = {}, channel: ChannelName = 'in_app') =>
    compiled.voucher(channelDefinition(channel), data, about)([found]);

  test.each([
    ['+1 555 0100', 'text'],
    ['0100 or write', 'text'],
    ['office@clinic.example', 'text'],
    ['Café: +43 1 555', 'text'],
    ['Dear', 'text'],
    ['+1 555 0199', 'phi'],
    ['MRN 77', 'phi'],
    ['https://clinic.example/?a=b', 'public'],
    ['https:&#x2F;&#x2F;clinic.example', 'public'],
    ['4111111', 'pii'],
    ['1980-03-01', 'phi'],
    ['unclassed@clinic.example', undefined],
    ['other@clinic.example', undefined],
    ['nowhere', undefined],
    ['or write. name', undefined],
  ])('%s: %s', (found, expected) => {
    expect(vouchesFor(found)).toBe(expected);
  });

  test('as this reader sees it', () => {
    const about = { locale: 'de-AT', timeZone: 'Europe/Vienna' };
    expect(vouchesFor('1. März 1980', about)).toBe('phi');
    expect(vouchesFor('1. März 1980')).toBeUndefined();
    expect(vouchesFor('4.111.111', { locale: 'de' })).toBe('pii');
  });

  test('nobody for data of a template without fields', () => {
    const { fields: _fields, ...untyped } = make({ body: '{{a}}' });
    expect(compile(untyped).voucher(channelDefinition('email'), { a: 'x@y.example' })(['x@y.example'])).toBeUndefined();
  });

  test.each<[ChannelName, string, string | undefined]>([
    ['email', '+1 555 0100', 'text'],
    ['email', 'https://clinic.example/?a=b', 'public'],
    ['email', '4111111', 'pii'],
    ['push', '4111111', undefined],
    ['push', 'https://clinic.example/?a=b', 'public'],
    ['email', '1980-03-01', undefined],
  ])('by %s only a class that may go there: %s', (channel, found, expected) => {
    expect(vouchesFor(found, {}, channel)).toBe(expected);
  });

  test('nobody, whoever else does, where a field holds it that must not go there, in whatever form', () => {
    expect(vouchesFor('+1 555 0199')).toBe('phi');
    expect(vouchesFor('+1 555 0199', {}, 'email')).toBeUndefined();
    const secret = { ...data, record: '155-50-100' };
    const found = (...writings: string[]) => compiled.voucher(channelDefinition('email'), secret)(writings);
    expect(found('+1 555 0100')).toBeUndefined();
    expect(found('(1)5550100', '+1 555 01&#x30;0')).toBeUndefined();
  });

  test('fields without a class count as phi where the policy says so', () => {
    const strict = compile(definition, undefined, 'strict');
    const both = { ...data, phone: 'unclassed@clinic.example' };
    const found = ['unclassed@clinic.example'];
    expect(compiled.voucher(channelDefinition('email'), both)(found)).toBe('pii');
    expect(strict.voucher(channelDefinition('email'), both)(found)).toBeUndefined();
  });

  test('something short only as words of their own', () => {
    const phone = (value: string) => compiled.voucher(channelDefinition('email'), { ...data, phone: value })(['12345']);
    expect(phone('12345')).toBe('pii');
    expect(phone('no. 12345.')).toBe('pii');
    expect(phone('212345')).toBeUndefined();
    expect(phone('123456, a12345')).toBeUndefined();
    expect(vouchesFor('0100')).toBe('text');
    expect(vouchesFor('010')).toBeUndefined();
  });
});
