import { CarillonError } from '@carillon/contracts';
import Mustache from 'mustache';

/** What `Mustache.parse` gives: type, name, start, end, and for sections the tokens inside. */
export type Token = [type: string, name: string, start: number, end: number, inner?: Token[], ...rest: unknown[]];

/** Sections within sections: deeper ones have overflowed the stack of the renderer. */
const MAX_DEPTH = 20;
/** Names that reach past data into the language. */
const FORBIDDEN_NAMES = new Set(['__proto__', 'constructor', 'prototype']);

/** What is wrong with one part of a template. */
export function invalid(path: string, message: string, cause?: unknown): CarillonError {
  return new CarillonError('TEMPLATE_INVALID', { field: path, message: `${path}: ${message}`, cause });
}

/** Whether a tag shows or asks for a value. */
export function isTag(token: Token): boolean {
  const type = token[0];
  return type === 'name' || type === '#' || type === '^';
}

/** The tokens of a text that may hold partials. @throws TEMPLATE_INVALID */
export function parseTokens(path: string, text: string): Token[] {
  let tokens: Token[];
  try {
    tokens = new Mustache.Writer().parse(text) as unknown as Token[];
  } catch (cause) {
    throw invalid(path, 'is not well-formed mustache', cause);
  }
  checkTokens(path, tokens, MAX_DEPTH);
  return tokens;
}

/** The partial tags among tokens, in order. */
export function partialTags(tokens: Token[]): Token[] {
  return tokens.flatMap((token) => (token[0] === '>' ? [token] : isTag(token) && token[4] ? partialTags(token[4]) : []));
}

function checkTokens(path: string, tokens: Token[], depth: number): void {
  if (depth === 0) throw invalid(path, `sections may nest ${MAX_DEPTH} deep`);
  for (const token of tokens) {
    const [type, name, , , inner] = token;
    if (type === '&') throw invalid(path, 'raw tags ({{{x}}} or {{&x}}) are not allowed');
    if (type === '=') throw invalid(path, 'changed delimiters are not allowed');
    if (!isTag(token)) continue;
    if (name !== '.' && name.split('.').some((step) => step === '' || FORBIDDEN_NAMES.has(step)))
      throw invalid(path, `the tag {{${name}}} has a name that is not allowed`);
    if (inner) checkTokens(path, inner, depth - 1);
  }
}
