import { CarillonError, type Json, notificationRequestSchema } from '@carillon/contracts';
import { isLinkStart, textFault } from './fields.js';
import type { Source } from './source.js';
import { isTag, type Token } from './tokens.js';
import { lookUp, type Meaning, write } from './writer.js';

/** Characters a one-line field may have once rendered: more is cut by every mail client and lock screen, and bloats every frame. */
const MAX_LINE = 1000;

const NONE: Token[] = [];

/**
 * Walks the tags as rendering will, and refuses what would come out empty, as `[object Object]`, as a second line of a header, or as a link
 * that runs a program.
 *
 * @throws TEMPLATE_DATA_MISSING, TEMPLATE_DATA_INVALID
 */
export function checkValues(source: Source, data: Record<string, Json>): void {
  if (source.hasTags) walk(source, source.tokens, data, data, 'data');
}

function walk(source: Source, tokens: Token[], scope: unknown, item: unknown, path: string): void {
  for (const token of tokens) {
    if (!isTag(token)) continue;
    const type = token[0];
    const name = token[1];
    const inner = token[4] ?? NONE;
    const field = name === '.' ? path : `${path}.${name}`;
    const value = name === '.' ? item : lookUp(scope, name);
    if (value === undefined || (value === null && type === 'name'))
      throw new CarillonError('TEMPLATE_DATA_MISSING', { field, message: `${field}: is needed by the template` });
    if (type === 'name') checkValue(source, token, value, field);
    else if (type === '^') {
      if (!value || (Array.isArray(value) && value.length === 0)) walk(source, inner, scope, item, path);
    } else if (Array.isArray(value)) {
      for (const [i, entry] of value.entries()) {
        const own = typeof entry === 'object' && entry !== null;
        walk(source, inner, own ? entry : scope, entry, own ? `${field}.${i}` : path);
      }
    } else if (typeof value === 'object' && value !== null) walk(source, inner, value, value, field);
    else if (value) walk(source, inner, scope, value, path);
  }
}

function checkValue({ singleLine, links }: Source, token: Token, value: unknown, field: string): void {
  const wrong =
    textFault(value, singleLine) ??
    (links.size > 0 && links.has(token) && !isLinkStart(value) ? 'must be an http(s) or mailto address' : undefined);
  if (wrong) throw new CarillonError('TEMPLATE_DATA_INVALID', { field, message: `${field}: ${wrong}` });
}

/** Refuses data that makes a line too long, or an address to follow into something else. @throws TEMPLATE_DATA_INVALID */
export function checkRendered(source: Source, data: Record<string, Json>, meaning: Meaning | undefined): void {
  if (!source.singleLine || !source.hasTags) return;
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
