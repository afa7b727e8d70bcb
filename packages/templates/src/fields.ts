import { CarillonError, type Json, type Template, type TemplateField } from '@carillon/contracts';
import { type Face, format } from './formats.js';
import { LINE_BREAKING, type Source } from './source.js';
import type { Reader } from './templates.js';
import { invalid, isTag, type Token } from './tokens.js';
import { lengthOf, type Meaning, shown } from './writer.js';

const TIME = /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
/** The end of what a Date can be, ms. */
const LAST_TIME = 8.64e15;
const FACES: readonly Face[] = ['date', 'time', 'zone'];

/** Characters a time has at most, in any language and zone, once escaped. */
const LONGEST_TIME = 256;
/** The same for a number below 10^21 and for any: 309 digits, which some languages write in two code units, and separators. */
const LONGEST_NUMBER = 128;
const LONGEST_HUGE_NUMBER = 1280;

/** The declared fields of a template. */
export interface Fields {
  /** Refuses tags that are no declared field. @throws TEMPLATE_INVALID */
  admit(source: Source): void;
  /** Refuses data that is not as declared. @throws TEMPLATE_DATA_MISSING, TEMPLATE_DATA_INVALID */
  check(data: Record<string, Json>): void;
  /** Characters a text has at most once rendered, in whatever language. */
  measure(source: Source, data: Record<string, Json>): number;
  /** What the tags mean for this data and recipient. */
  meaning(data: Record<string, Json>, about: Reader): Meaning;
  /** What each tag holds, by the name of its field: the value as it was given, as this recipient is shown it, and as that is written in HTML. */
  forms(data: Record<string, Json>, about: Reader): { readonly name: string; readonly forms: readonly string[] }[];
}

/** The fields a template declares; undefined if it declares none. */
export function createFields({ fields }: Template): Fields | undefined {
  if (!fields) return undefined;
  const tags = new Map(Object.entries(fields).flatMap(([name, field]) => tagsOf(name, field)));
  const onOneLine = new Set<string>();
  return {
    admit(source) {
      admitTokens(source, source.tokens, tags);
      if (source.singleLine) for (const name of shownIn(source.tokens)) onOneLine.add(name);
    },
    check(data) {
      for (const [name, field] of Object.entries(fields)) checkField(name, field, given(data, name), onOneLine.has(name));
    },
    measure: (source, data) => measureTokens(source.tokens, source.format === 'html', tags, data),
    meaning: (data, about) => ({
      condition: (tag) => isGiven(tags.get(tag) as Tag, data),
      show: (tag) => showTag(tags.get(tag) as Tag, data, about),
    }),
    forms: (data, about) => [...tags.values()].map((tag) => ({ name: tag.name, forms: formsOf(tag, data, about) })),
  };
}

interface Tag {
  readonly name: string;
  readonly type: TemplateField['type'];
  readonly face: Face;
}

/** The tags a field may be shown by. */
function tagsOf(name: string, { type }: TemplateField): [string, Tag][] {
  if (type !== 'datetime') return [[name, { name, type, face: 'number' }]];
  return [[name, { name, type, face: 'datetime' }], ...FACES.map((face): [string, Tag] => [`${name}.${face}`, { name, type, face }])];
}

function admitTokens({ path, links }: Source, tokens: Token[], tags: ReadonlyMap<string, Tag>): void {
  for (const token of tokens) {
    const [, name, , , inner] = token;
    if (!isTag(token)) continue;
    const tag = tags.get(name);
    if (!tag) throw invalid(path, `the tag {{${name}}} is not a declared field`);
    if (links.has(token) && tag.type !== 'url') throw invalid(path, `the tag {{${name}}} begins an address, so its field must be a url`);
    if (inner) admitTokens({ path, links } as Source, inner, tags);
  }
}

function measureTokens(tokens: Token[], html: boolean, tags: ReadonlyMap<string, Tag>, data: Record<string, Json>): number {
  let length = 0;
  for (const token of tokens) {
    if (token[0] === 'text') length += token[1].length;
    if (!isTag(token)) continue;
    const tag = tags.get(token[1]) as Tag;
    if (token[0] === 'name') length += measureTag(tag, html, data);
    else if (isGiven(tag, data) === (token[0] === '#')) length += measureTokens(token[4] ?? [], html, tags, data);
  }
  return length;
}

function measureTag({ name, type }: Tag, html: boolean, data: Record<string, Json>): number {
  const value = given(data, name);
  if (value === undefined) return 0;
  if (type === 'datetime') return LONGEST_TIME;
  if (type === 'number') return Math.abs(Number(value)) < 1e21 ? LONGEST_NUMBER : LONGEST_HUGE_NUMBER;
  return lengthOf(value, html);
}

/** What a section over a field asks for. The beginning of the epoch is a time like any other. */
function isGiven({ name, type }: Tag, data: Record<string, Json>): boolean {
  const value = given(data, name);
  return type === 'datetime' ? value !== undefined : Boolean(value);
}

function shownIn(tokens: Token[]): string[] {
  return tokens.flatMap((token) => (token[0] === 'name' ? [token[1]] : isTag(token) ? shownIn(token[4] ?? []) : []));
}

function showTag({ name, type, face }: Tag, data: Record<string, Json>, about: Reader): string {
  const value = given(data, name);
  if (value === undefined) return '';
  if (type === 'datetime') return format(face, toTime(value) ?? Number.NaN, about.locale, about.timeZone);
  return type === 'number' ? format(face, Number(value), about.locale) : String(value);
}

/** A value as it was given, as a tag shows it, and as that is written in HTML. */
function formsOf(tag: Tag, data: Record<string, Json>, about: Reader): string[] {
  const value = given(data, tag.name);
  if (value === undefined) return [];
  const shows = showTag(tag, data, about);
  return [String(value), shown(shows, false), shown(shows, true)].map((form) => form.normalize('NFC'));
}

/** Null counts as absent. */
function given(data: Record<string, Json>, name: string): Exclude<Json, null> | undefined {
  return Object.hasOwn(data, name) ? (data[name] ?? undefined) : undefined;
}

function checkField(name: string, { type, optional }: TemplateField, value: Json | undefined, onOneLine: boolean): void {
  const field = `data.${name}`;
  if (value === undefined) {
    if (optional) return;
    throw new CarillonError('TEMPLATE_DATA_MISSING', { field, message: `${field}: is needed by the template` });
  }
  const wrong = faults[type](value, onOneLine);
  if (wrong) throw new CarillonError('TEMPLATE_DATA_INVALID', { field, message: `${field}: ${wrong}` });
}

/** What is wrong with a value of each type, if anything. */
const faults: Readonly<Record<TemplateField['type'], (value: Json, onOneLine: boolean) => string | undefined>> = {
  text: textFault,
  datetime: (value) =>
    toTime(value) === undefined ? 'must be ISO 8601 with an offset, such as 2026-10-25T09:00:00+01:00, or ms since the epoch' : undefined,
  number: (value) => (typeof value === 'number' && Number.isFinite(value) ? undefined : 'must be a number'),
  url: (value) => (isWebAddress(value) ? undefined : 'must be an http(s) address'),
};

/** What keeps a value from being shown as text, if anything. */
export function textFault(value: unknown, onOneLine: boolean): string | undefined {
  if (typeof value === 'object') return 'must be text, a number, true or false';
  if (onOneLine && typeof value === 'string' && LINE_BREAKING.test(value))
    return 'must not hold control characters or line breaks, it is shown on one line';
  return undefined;
}

function isWebAddress(value: unknown): boolean {
  return typeof value === 'string' && /^https?:\/\//i.test(value) && isClean(value);
}

/** Whether a value may begin the address of a link: an http(s) or mail address. */
export function isLinkStart(value: unknown): boolean {
  return isWebAddress(value) || (typeof value === 'string' && /^mailto:/i.test(value) && isClean(value));
}

function isClean(address: string): boolean {
  return !LINE_BREAKING.test(address) && URL.canParse(address);
}

/** Ms since the epoch; undefined for what is no time. */
function toTime(value: Json): number | undefined {
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) <= LAST_TIME ? value : undefined;
  const [, year, month, day] = (typeof value === 'string' && TIME.exec(value)) || [];
  if (year === undefined) return undefined;
  // A Date turns the 30th of February into a day of March.
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  return Date.parse(value as string);
}
