import { CarillonError, type Json } from '@carillon/contracts';
import Mustache from 'mustache';
import type { Source } from './source.js';

/**
 * Characters one text may have, with its partials and once rendered: Gmail cuts a mail off after 102 kB. A list in the data may repeat a section
 * many times; this bounds what that costs.
 */
export const MAX_RENDERED = 128 * 1024;
/** Controls a text body may not show; tab and line breaks may stay. */
const INVISIBLE = /[^\P{Cc}\t\n\r]/gu;

/** What the tags of a template mean for one rendering. */
export interface Meaning {
  /** What a section asks for. */
  condition(name: string): boolean;
  /** What a tag shows. */
  show(name: string): string;
}

/** Where tags are looked up. */
abstract class Scope extends Mustache.Context {
  abstract show(name: string): unknown;
}

/** The enclosing object and, in a section over a plain value, that value. Looks up own properties of its own object only. */
class DataScope extends Scope {
  readonly object: unknown;

  constructor(view: unknown, object: unknown = view) {
    super(view as object);
    this.object = object;
  }

  // A section over text or a number is a condition: the names inside still mean the object around it.
  override push(view: unknown): Mustache.Context {
    return new DataScope(view, typeof view === 'object' && view !== null ? view : this.object);
  }

  override lookup(name: string): unknown {
    return name === '.' ? this.view : lookUp(this.object, name);
  }

  show(name: string): unknown {
    return this.lookup(name);
  }
}

/** Declared fields: sections are conditions, and every name means the same everywhere. */
class FieldScope extends Scope {
  readonly #meaning: Meaning;

  constructor(meaning: Meaning) {
    super({});
    this.#meaning = meaning;
  }

  override lookup(name: string): boolean {
    return this.#meaning.condition(name);
  }

  show(name: string): string {
    return this.#meaning.show(name);
  }
}

/** The own property at a path of names; undefined if there is none. */
export function lookUp(object: unknown, path: string): unknown {
  // Splitting every name would take a third of the time of rendering.
  if (!path.includes('.')) return own(object, path);
  let value = object;
  for (const name of path.split('.')) value = own(value, name);
  return value;
}

function own(object: unknown, name: string): unknown {
  return typeof object === 'object' && object !== null && Object.hasOwn(object, name)
    ? (object as Record<string, unknown>)[name]
    : undefined;
}

/** Characters a value has at most where it is shown. */
export function lengthOf(value: unknown, html: boolean): number {
  return html ? shown(value, html).length : String(value).length;
}

/** A value as it is shown. */
export function shown(value: unknown, html: boolean): string {
  const text = String(value).replace(INVISIBLE, '');
  return html ? Mustache.escape(text) : text;
}

/** Mustache's writer with a bound on what it writes. */
class BoundedWriter extends Mustache.Writer {
  #written = 0;
  #html = false;

  write({ tokens, text }: Source, html: boolean, scope: Scope): string {
    this.#written = 0;
    this.#html = html;
    return this.renderTokens(tokens as never, scope, undefined, text);
  }

  override rawValue(token: string[]): string {
    return this.#count(super.rawValue(token));
  }

  override escapedValue(token: string[], scope: Mustache.Context): string {
    const value = (scope as Scope).show(token[1] as string);
    if (value === undefined || value === null) return '';
    return this.#count(shown(value, this.#html));
  }

  #count(text: string): string {
    this.#written += text.length;
    if (this.#written > MAX_RENDERED) throw new CarillonError('RENDER_FAILED', { message: 'The rendered text is too long.' });
    return text;
  }
}

const writer = new BoundedWriter();

/** A text with its tags filled in, in NFC; for HTML the values are escaped. @throws RENDER_FAILED if it grows too long */
export function write(source: Source, html: boolean, data: Record<string, Json>, meaning: Meaning | undefined): string {
  if (!source.hasTags) return source.text;
  return writer.write(source, html, meaning ? new FieldScope(meaning) : new DataScope(data)).normalize('NFC');
}
