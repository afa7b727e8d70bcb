import { createHash } from 'node:crypto';
import { CarillonError, type ContentField, type Json, type Template } from '@carillon/contracts';
import Mustache from 'mustache';
import type { CompiledTemplate } from './templates.js';

/** What `Mustache.parse` gives: type, name, start, end, and for sections the tokens inside. */
type Token = [type: string, name: string, start: number, end: number, inner?: Token[], ...rest: unknown[]];

/** Sections within sections: deeper ones have overflowed the stack of the renderer. */
const MAX_DEPTH = 20;
/** Characters a one-line field may have once rendered: more is cut by every mail client and lock screen, and bloats every frame. */
const MAX_LINE = 1000;
/** Characters one rendered field may have. A list in the data may repeat a section many times; this bounds what that costs. */
const MAX_RENDERED = 128 * 1024;
/** Names that reach past data into the language. */
const FORBIDDEN_NAMES = new Set(['__proto__', 'constructor', 'prototype']);
/** C0 and C1 controls, line and paragraph separators: none may stand in a header or on one line. */
const LINE_BREAKING = /[\p{Cc}\u2028\u2029]/u;
/** Controls a text body may not show; tab and line breaks may stay. */
const INVISIBLE = /[^\P{Cc}\t\n\r]/gu;

type Part = 'title' | 'body';

interface Parsed {
  readonly source: string;
  readonly tokens: Token[];
}

/** The enclosing object and, in a section over a plain value, that value. Looks up own properties of its own object only. */
class Scope extends Mustache.Context {
  readonly object: unknown;

  constructor(view: unknown, object: unknown = view) {
    super(view as object);
    this.object = object;
  }

  // A section over text or a number is a condition: the names inside still mean the object around it.
  override push(view: unknown): Mustache.Context {
    return new Scope(view, typeof view === 'object' && view !== null ? view : this.object);
  }

  override lookup(name: string): unknown {
    return name === '.' ? this.view : lookUp(this.object, name);
  }
}

function lookUp(object: unknown, path: string): unknown {
  let value = object;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/** Mustache's writer with a bound on what it writes. */
class BoundedWriter extends Mustache.Writer {
  #written = 0;

  write(parsed: Parsed, data: Record<string, Json>, toText: (value: unknown) => string): string {
    this.#written = 0;
    return this.renderTokens(parsed.tokens as never, new Scope(data), undefined, parsed.source, { escape: toText });
  }

  override rawValue(token: string[]): string {
    return this.#count(super.rawValue(token));
  }

  override escapedValue(...args: Parameters<Mustache.Writer['escapedValue']>): string {
    return this.#count(super.escapedValue(...args) ?? '');
  }

  #count(text: string): string {
    this.#written += text.length;
    if (this.#written > MAX_RENDERED) throw new CarillonError('RENDER_FAILED', { message: 'The rendered text is too long.' });
    return text;
  }
}

function invalid(part: Part, message: string): CarillonError {
  return new CarillonError('TEMPLATE_INVALID', { field: part, message: `${part}: ${message}` });
}

function parsePart(part: Part, source: string): Parsed {
  if (part === 'title' && LINE_BREAKING.test(source)) throw invalid(part, 'must not hold control characters or line breaks');
  let tokens: Token[];
  try {
    tokens = new Mustache.Writer().parse(source) as unknown as Token[];
  } catch (cause) {
    throw new CarillonError('TEMPLATE_INVALID', { field: part, message: `${part}: is not well-formed mustache`, cause });
  }
  checkTokens(part, tokens, MAX_DEPTH);
  return { source, tokens };
}

function checkTokens(part: Part, tokens: Token[], depth: number): void {
  if (depth === 0) throw invalid(part, `sections may nest ${MAX_DEPTH} deep`);
  for (const [type, name, , , inner] of tokens) {
    if (type === '&') throw invalid(part, 'raw tags ({{{x}}} or {{&x}}) are not allowed');
    if (type === '=') throw invalid(part, 'changed delimiters are not allowed');
    if (type === '>') throw invalid(part, 'partials are not known');
    if (type === 'name' || type === '#' || type === '^') {
      if (name !== '.' && name.split('.').some((step) => step === '' || FORBIDDEN_NAMES.has(step)))
        throw invalid(part, `the tag {{${name}}} has a name that is not allowed`);
      if (inner) checkTokens(part, inner, depth - 1);
    }
  }
}

/** Walks the tags as rendering will, and refuses what would come out empty, as `[object Object]`, or as a second line of a header. */
function checkData(tokens: Token[], scope: unknown, item: unknown, path: string, singleLine: boolean): void {
  for (const [type, name, , , inner] of tokens) {
    if (type !== 'name' && type !== '#' && type !== '^') continue;
    const field = name === '.' ? path : `${path}.${name}`;
    const value = name === '.' ? item : lookUp(scope, name);
    if (value === undefined || (value === null && type === 'name'))
      throw new CarillonError('TEMPLATE_DATA_MISSING', { field, message: `${field}: is needed by the template` });
    if (type === 'name') checkText(value, field, singleLine);
    else if (type === '^') {
      if (!value || (Array.isArray(value) && value.length === 0)) checkData(inner ?? [], scope, item, path, singleLine);
    } else if (Array.isArray(value)) {
      for (const [i, entry] of value.entries()) {
        const own = typeof entry === 'object' && entry !== null;
        checkData(inner ?? [], own ? entry : scope, entry, own ? `${field}.${i}` : path, singleLine);
      }
    } else if (typeof value === 'object' && value !== null) checkData(inner ?? [], value, value, field, singleLine);
    else if (value) checkData(inner ?? [], scope, value, path, singleLine);
  }
}

function checkText(value: unknown, field: string, singleLine: boolean): void {
  if (typeof value === 'object')
    throw new CarillonError('TEMPLATE_DATA_INVALID', { field, message: `${field}: must be text, a number, true or false` });
  if (singleLine && typeof value === 'string' && LINE_BREAKING.test(value)) {
    throw new CarillonError('TEMPLATE_DATA_INVALID', {
      field,
      message: `${field}: must not hold control characters or line breaks, it is shown on one line`,
    });
  }
}

const asText = (value: unknown) => String(value).replace(INVISIBLE, '');
const asHtml = (value: unknown) => Mustache.escape(asText(value));

/** Equal definitions have equal versions, in whatever order their fields were written. 16 hex characters of SHA-256. */
function versionOf(template: Template): string {
  const canonical = JSON.stringify(Object.entries(template).sort(([a], [b]) => (a < b ? -1 : 1)));
  return createHash('sha256').update(canonical).digest('hex').slice(0, 16);
}

/**
 * Compiles a template.
 *
 * @throws TEMPLATE_INVALID, whose `field` is `title` or `body`: malformed mustache, a raw, delimiter or partial tag, a forbidden name, nesting too deep.
 */
export function compile(definition: Template): CompiledTemplate {
  const parts: Record<Part, Parsed> = { title: parsePart('title', definition.title), body: parsePart('body', definition.body) };
  const writer = new BoundedWriter();
  const renderField = (field: ContentField, data: Record<string, Json>) => {
    const text = writer.write(parts[field.from], data, field.format === 'html' ? asHtml : asText).normalize('NFC');
    if (field.singleLine && LINE_BREAKING.test(text))
      throw new CarillonError('RENDER_FAILED', { message: 'A line break reached a one-line field.' });
    return text;
  };
  return {
    definition,
    version: versionOf(definition),
    check(data) {
      checkData(parts.title.tokens, data, data, 'data', true);
      checkData(parts.body.tokens, data, data, 'data', false);
      if (writer.write(parts.title, data, asText).length > MAX_LINE) {
        throw new CarillonError('TEMPLATE_DATA_INVALID', {
          field: 'data',
          message: `data: makes the title longer than ${MAX_LINE} characters`,
        });
      }
    },
    render(content, data) {
      const rendered: Record<string, string> = {};
      try {
        for (const [name, field] of Object.entries(content)) rendered[name] = renderField(field, data);
      } catch (cause) {
        throw cause instanceof CarillonError ? cause : new CarillonError('RENDER_FAILED', { cause });
      }
      return rendered;
    },
  };
}
