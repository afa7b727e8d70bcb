import { CarillonError, type Json, notificationRequestSchema } from '@carillon/contracts';
import { isLinkStart, textFault } from './fields.js';
import type { Source } from './source.js';
import { isTag, type Token } from './tokens.js';
import { lengthOf, lookUp, MAX_RENDERED, type Meaning, write } from './writer.js';

/** Characters a one-line field may have once rendered: more is cut by every mail client and lock screen, and bloats every frame. */
const MAX_LINE = 1000;

/** Tags and texts gone through for one notification, in all texts of its template: a few ms. Lists within lists may multiply to any number. */
const MAX_STEPS = 100_000;

const NONE: Token[] = [];

/**
 * Goes through the texts of a template as rendering will, and refuses what would come out empty, as `[object Object]`, as a second line of a
 * header, or as a link that runs a program; and what would take long.
 */
export class Walk {
  readonly #data: Record<string, Json>;
  #steps = 0;
  #length = 0;

  constructor(data: Record<string, Json>) {
    this.#data = data;
  }

  /** Answers how many characters the text has once rendered. @throws TEMPLATE_DATA_MISSING, TEMPLATE_DATA_INVALID */
  through(source: Source): number {
    if (!source.hasTags) return source.text.length;
    this.#length = 0;
    this.#walk(source, source.tokens, this.#data, this.#data, 'data');
    return this.#length;
  }

  #walk(source: Source, tokens: Token[], scope: unknown, item: unknown, path: string): void {
    this.#steps += tokens.length + 1;
    if (this.#steps > MAX_STEPS) throw dataInvalid('has lists within lists that are too long together');
    for (const token of tokens) {
      if (token[0] === 'text') this.#length += token[1].length;
      if (!isTag(token)) continue;
      const type = token[0];
      const name = token[1];
      const field = name === '.' ? path : `${path}.${name}`;
      const value = name === '.' ? item : lookUp(scope, name);
      if (value === undefined || (value === null && type === 'name'))
        throw new CarillonError('TEMPLATE_DATA_MISSING', { field, message: `${field}: is needed by the template` });
      if (type === 'name') {
        checkValue(source, token, value, field);
        this.#length += lengthOf(value, source.format === 'html');
      } else if (type === '#') this.#section(source, token[4] ?? NONE, scope, value, path, field);
      else if (!value || (Array.isArray(value) && value.length === 0)) this.#walk(source, token[4] ?? NONE, scope, item, path);
    }
  }

  #section(source: Source, inner: Token[], scope: unknown, value: unknown, path: string, field: string): void {
    if (Array.isArray(value)) {
      for (const [i, entry] of value.entries()) {
        const own = typeof entry === 'object' && entry !== null;
        this.#walk(source, inner, own ? entry : scope, entry, own ? `${field}.${i}` : path);
      }
    } else if (typeof value === 'object' && value !== null) this.#walk(source, inner, value, value, field);
    else if (value) this.#walk(source, inner, scope, value, path);
  }
}

function checkValue({ singleLine, links }: Source, token: Token, value: unknown, field: string): void {
  const wrong =
    textFault(value, singleLine) ??
    (links.size > 0 && links.has(token) && !isLinkStart(value) ? 'must be an http(s) or mailto address' : undefined);
  if (wrong) throw new CarillonError('TEMPLATE_DATA_INVALID', { field, message: `${field}: ${wrong}` });
}

/** Refuses data that makes a text of `length` characters too long, or an address to follow into something else. @throws TEMPLATE_DATA_INVALID */
export function checkRendered(source: Source, length: number, data: Record<string, Json>, meaning: Meaning | undefined): void {
  if (!source.hasTags) return;
  if (length > MAX_RENDERED) throw dataInvalid(`makes the ${source.path} longer than ${MAX_RENDERED} characters`);
  if (!source.singleLine) return;
  const text = write(source, false, data, meaning);
  if (source.isLink) {
    if (!isLink(text)) throw dataInvalid(`does not make ${source.path} an http(s) address or a path beginning with one slash`);
  } else if (text.length > MAX_LINE) {
    throw dataInvalid(`makes the ${source.path} longer than ${MAX_LINE} characters`);
  }
}

/** Whether a rendered address may be followed: as strict as the `url` of a request. Nothing is no address, and is left out. */
export function isLink(text: string): boolean {
  return text === '' || notificationRequestSchema.shape.url.safeParse(text).success;
}

function dataInvalid(message: string): CarillonError {
  return new CarillonError('TEMPLATE_DATA_INVALID', { field: 'data', message: `data: ${message}` });
}
