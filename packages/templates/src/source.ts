import { findLinks } from './html.js';
import { invalid, isTag, parseTokens, partialTags, type Token } from './tokens.js';

/** C0 and C1 controls, line and paragraph separators: none may stand in a header or on one line. */
export const LINE_BREAKING = /[\p{Cc}\u2028\u2029]/u;

/** Where a text of a template stands, and what that asks of it. */
export interface Place {
  /** The path in the definition, such as `title` or `locales.de.email.html`. */
  readonly path: string;
  readonly format: 'text' | 'html';
  readonly singleLine: boolean;
  /** All of it is an address to follow. */
  readonly isLink: boolean;
}

/** One text of a template, parsed and found harmless. */
export interface Source extends Place {
  /** As it was registered; without tags, as it is shown. */
  readonly text: string;
  readonly tokens: Token[];
  readonly hasTags: boolean;
  /** Values with which the address of a link or an image begins. */
  readonly links: ReadonlySet<Token>;
}

/** @throws TEMPLATE_INVALID: malformed mustache, a raw, delimiter or partial tag, a forbidden name, nesting too deep, a value in a dangerous place */
export function parseSource(place: Place, text: string): Source {
  const { path, format, singleLine } = place;
  if (singleLine && LINE_BREAKING.test(text)) throw invalid(path, 'must not hold control characters or line breaks');
  const tokens = parseTokens(path, text);
  if (partialTags(tokens).length > 0) throw invalid(path, 'partials are for HTML only');
  const links = format === 'html' ? findLinks(path, tokens) : new Set<Token>();
  const hasTags = tokens.some(isTag);
  return { ...place, text: hasTags ? text : withoutTags(tokens).normalize('NFC'), tokens, hasTags, links };
}

function withoutTags(tokens: Token[]): string {
  return tokens.map(([type, text]) => (type === 'text' ? text : '')).join('');
}

/** What a text says by itself, whatever the data. */
export function ownWords({ hasTags, text, tokens }: Source): string {
  return (hasTags ? fixedParts(tokens) : text).normalize('NFC');
}

/** What a text says itself, with a character no message has in the place of values. */
function fixedParts(tokens: Token[]): string {
  return tokens.map((token) => (isTag(token) ? `\0${fixedParts(token[4] ?? [])}\0` : token[0] === 'text' ? token[1] : '')).join('');
}
