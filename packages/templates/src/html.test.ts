import { CarillonError, channelDefinition, type Json, type TemplateField } from '@carillon/contracts';
import { describe, expect, test } from '@jest/globals';
import { compile } from './compile.js';

const make = (html: string, fields?: Record<string, TemplateField>) =>
  compile({ id: 't', title: 'T', body: 'B', channels: ['email'], email: { html }, ...(fields && { fields }) });
const fault = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    if (error instanceof CarillonError) return [error.code, error.field];
    throw error;
  }
  return undefined;
};

describe('a value may not stand', () => {
  test.each([
    '<script>{{a}}</script>',
    '<SCRIPT type="x">if (1 < 2) {{a}}</SCRIPT>',
    '<style>p { color: {{a}} }</style>',
    '<p class={{a}}>',
    '<p class=x{{a}}>',
    '<p class = {{a}}>',
    '<p {{a}}>',
    '<p {{a}}="x">',
    '<p data-{{a}}="x">',
    '<{{a}}>',
    '<h{{a}}>',
    '</{{a}}>',
    '<!-- {{a}} -->',
    '<!doctype {{a}}>',
    '<p onclick="{{a}}">',
    "<p ONCLICK = 'x({{a}})'>",
    '<p style="color: {{a}}">',
    '<iframe srcdoc="{{a}}">',
    '<a href="java{{a}}">',
    '<a href="javascript:{{a}}">',
    '<a href="{{#b}}https://x.example/{{/b}}java{{a}}">',
    '<a {{#b}}href={{/b}}"{{a}}">',
    '<a {{#b}}hr{{/b}}ef="{{a}}">',
    '<a hr{{#b}}{{/b}}ef="{{a}}">',
    '<a {{#b}}title="{{/b}}{{a}}">',
    '<{{! x }}script>{{a}}</script>',
    '<script>"</scripty>"; {{a}}</script>',
    '<a title="x" href={{a}}>',
    '{{#b}}<script>{{/b}}{{a}}',
    '<a {{#b}}><script {{/b}}>{{a}}</script>',
    '<a href="/{{a}}">',
    '<a href=" / {{a}}">',
    '<a href="/&#47;{{a}}">',
    '<a href="//{{a}}">',
    '<a href="//x.example{{a}}">',
    '<a href="{{b}}/{{a}}">',
    '<a href="/{{#b}}visits/{{/b}}{{a}}">',
    '<a href="https://{{a}}/x">',
    '<a href="https://x.example{{a}}">',
    '<a href="https://x.example{{#b}}/{{/b}}{{a}}">',
    '<a href="https:///{{a}}">',
    '<img src="https://x.example:80{{a}}">',
    '<meta http-equiv="refresh" content="0;url={{a}}">',
    '<meta content="{{a}}" HTTP-EQUIV=refresh>',
    '<meta {{#b}}http-equiv="refresh"{{/b}} content="{{a}}">',
    '<meta http-equiv=refresh {{#b}}><meta {{/b}}content="{{a}}">',
    '<meta content="{{a}}" {{#b}}><meta {{/b}}http-equiv=refresh>',
    '<svg><a><animate attributeName="href" values="{{a}}"/></a></svg>',
    '<svg><a><set attributeName="href" to="{{a}}"/></a></svg>',
    '<svg><a><animate attributeName="href" FROM="{{a}}" by="x"/></a></svg>',
  ])('in %s', (html) => {
    expect(fault(() => make(html))).toEqual(['TEMPLATE_INVALID', 'email.html']);
  });
});

describe('a value may stand', () => {
  test.each([
    '<p>{{a}}</p>',
    '<p title="{{a}}" class=\'x {{a}}\'>',
    '<!doctype html><html><head><style>p{color:red}</style><title>{{a}}</title></head><body>{{a}}</body></html>',
    '<a href="https://x.example/{{a}}?b={{a}}">{{a}}</a>',
    '<a href="/v{{a}}"><a href="/visits/{{a}}"><a href="?x={{a}}"><a href="#{{a}}"><a href="mailto:{{a}}"><a href="tel:{{a}}">',
    '<a href="https://x.example/{{a}}{{a}}"><a href="https://x.example?{{a}}"><a href="https://x.example:8080/#{{a}}">',
    '<a href="{{a}}/visits/{{b}}?c={{b}}">',
    '<meta http-equiv="content-type" content="text/html"><meta itemprop="number" content="{{a}}">',
    '<img src="cid:{{a}}" alt="{{a}}">',
    '<td {{#b}}hidden{{/b}}>{{a}}</td>',
    '<td{{! note }} {{#b}}class="x" {{/b}}{{^b}}class="y"{{/b}}>{{a}}</td>',
    '<p class="{{#b}}on {{/b}}x">{{#b}}<b>{{a}}</b>{{/b}}</p>',
    '<!-- {{! not a value }} note --> {{a}}',
    '<!--[if mso]><p title="{{a}}">{{a}}</p><![endif]-->{{a}}<!--[if !mso]><!-->{{a}}<!--<![endif]-->',
    '1 < 2 {{a}} <br/>{{a}} a=b {{a}}',
    '<script>let a = "<p>";</script>{{a}}',
  ])('in %s', (html) => {
    expect(fault(() => make(html))).toBeUndefined();
  });

  test('but not a broken end', () => {
    for (const html of ['<p', '<p class="x', '<!-- x', 'x <']) expect(fault(() => make(html))).toEqual(['TEMPLATE_INVALID', 'email.html']);
  });
});

describe('a link', () => {
  const check = (html: string, data: Record<string, Json>) => fault(() => make(html).check(data));

  test.each<[Json]>([['javascript:alert(1)'], [' javascript:x'], ['data:text/html,x'], ['/x'], ['x'], [''], [1], ['https://x\u0000']])(
    'cannot be %j',
    (a) => {
      expect(check('<a href="{{a}}">x</a>', { a })).toEqual(['TEMPLATE_DATA_INVALID', 'data.a']);
      expect(check("<img src=' {{a}}'>", { a })).toEqual(['TEMPLATE_DATA_INVALID', 'data.a']);
      expect(check('{{#l}}<a href="{{a}}/x">{{/l}}', { l: [{ a }] })).toEqual(['TEMPLATE_DATA_INVALID', 'data.l.0.a']);
      expect(check('<!--[if mso]><v:rect href="{{a}}"></v:rect><![endif]-->', { a })).toEqual(['TEMPLATE_DATA_INVALID', 'data.a']);
      expect(check('<a href="{{#b}}https://x{{/b}}{{a}}">', { b: false, a })).toEqual(['TEMPLATE_DATA_INVALID', 'data.a']);
    },
  );

  test.each(['https://x.example', 'http://x.example/?a=b&c="d"', 'mailto:a@example.org'])('can be %s', (a) => {
    const { check, render } = make('<a href="{{a}}">x</a>');
    check({ a });
    expect(render(channelDefinition('email'), { a }).content.html).not.toMatch(/"{2}/);
  });

  test('of a declared field is one of type url', () => {
    expect(fault(() => make('<a href="{{a}}">', { a: { type: 'text' } }))).toEqual(['TEMPLATE_INVALID', 'email.html']);
    expect(fault(() => make('<a href="{{a}}">', { a: { type: 'url' } }))).toBeUndefined();
    expect(fault(() => make('<a href="https://x.example/{{a}}">', { a: { type: 'text' } }))).toBeUndefined();
  });
});

test('long runs of blanks and of comments cost no more than other text', () => {
  const MAX_MS = 500;
  for (const html of [`<p${' '.repeat(65_000)}>`, `<p ${'a '.repeat(32_000)}>`, '<!--[if-->'.repeat(6_500)]) {
    const startedAt = performance.now();
    make(html);
    expect(performance.now() - startedAt).toBeLessThan(MAX_MS);
  }
});
