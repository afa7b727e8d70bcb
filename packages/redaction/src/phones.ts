import { type CountryCode, type PhoneNumber, parsePhoneNumberFromString } from 'libphonenumber-js/core';
import metadata from 'libphonenumber-js/max/metadata';
import { before, type Finder, isCalledOtherwise, type Span, scan } from './scan.js';

/** With a country's code: `+` or `00`, then at most 15 digits (ITU-T E.164) with a few signs between them. */
const INTERNATIONAL = /(?:(?<![A-Za-z_+])\+|(?<![\w+]|\d[:.,/-])00[ \u00a0]?)[1-9](?:[ \u00a0()./-]{0,3}\d){6,15}/g;
/** As they are written in North America: 3-3-4. */
const AMERICAN = /(?<![\w.+-]|\d[ \u00a0,])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\w|[.-]\d|,(?!\(?\d[\d ().-]{7})\d)/g;
/** As they are written in Spain, where none has a 0 before it. */
const SPANISH =
  /(?<![\w.+-]|\d[ \u00a0,])(?:[6789]\d{2}([ .-])(?:\d{3}\1\d{3}|\d{2}\1\d{2}\1\d{2})|9\d([ .-])\d{3}\2\d{2}\2\d{2})(?!\w|[.-]\d|[ ,]{0,2}(?![6789]\d{1,2}[ .-]\d{2,3}[ .-]\d{2,3})\d| ?(?:[€$£%]|EUR|USD|CHF))/g;
/** With the 0 for long distance and at least one sign between the digits; and, where they are called phone numbers, any digits. */
const NATIONAL = /(?<![\w+]|\d[ \u00a0:.,/-])\(?\d[\d \u00a0./()-]{6,22}/g;

/** Where a number with a 0 before it may be from; the first that knows it will do. */
const WITH_TRUNK: readonly CountryCode[] = ['DE', 'GB', 'FR', 'CH', 'NL', 'IT', 'AU'];
/** Where any other may be from: without a 0, so it must be called a phone number. */
const WITHOUT_TRUNK: readonly CountryCode[] = ['US', 'ES', 'PL', 'DK', 'PT'];

/** Digits a national number has; shorter ones are too much like other numbers. */
const MIN_DIGITS = 9;
const MAX_DIGITS = 13;
/** How often the last group of digits is taken off, since the digits of something else may follow. */
const CUTS = 3;
/** Characters of the code of a country or an area at most. */
const AREA_MAX = 8;

const CALLED_PHONE =
  /(?:\b(?:tel|phone|telephone|call|calls|called|fax|mobile|cell|text|sms|whatsapp|reach|ring|dial|contact|hotline|handy|mobil|telefon|telefonisch|rufen|ruf|anruf|r[uü]ckruf|melden|erreichen|portable|appelez|appeler|joindre|llame|llamar|llámenos|contacto)|tél|téléphone|tel[eé]fono|m[oó]vil)(?![a-zà-ÿ])[^\d]{0,24}$/i;
/** `01.02.2026`, `2026-02-01` and the like, at the beginning; pairs that go on are no date. */
const DATE = /^(?:\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d{2})|\d{4}([./-])\d{1,2}\2\d{1,2})(?![./-]?\d)/;
/** What must not follow a number: it would be a part of something longer. */
const GOES_ON = /^(?:\w|[-.:]\d|,(?!\(?\d[\d ()./-]{7})\d|-\w|@)/;
const GOES_ON_WITHIN = 12;
/** Where another number begins, with a 0 of its own and behind enough digits for this one; and how far it is looked for. */
const NEXT_NUMBER = /(?<=(?:\d\D{0,3}){9})\D{1,3}0(?:[ \u00a0()./-]{0,3}\d){6}/;
const NEXT_WITHIN = 80;
/** What may stand between two numbers, and how far the second may reach. */
const BETWEEN = /[\s,;/|-]{0,3}/y;
const FOLLOWER_MAX = 80;

/** Numbers of each form that are looked up in one text: it takes some 25 µs each. Of more, the form has to do. */
const LOOK_UPS = 250;

/** What is known of phone numbers, for one form in one text. */
class Book {
  #left = LOOK_UPS;

  get isClosed(): boolean {
    return this.#left <= 0;
  }

  parse(written: string, defaultCountry?: CountryCode): PhoneNumber | undefined {
    this.#left--;
    return parsePhoneNumberFromString(written, { ...(defaultCountry && { defaultCountry }), extract: false }, metadata);
  }
}

interface Form {
  readonly pattern: RegExp;
  verify(text: string, candidate: string, start: number, book: Book): Span | undefined;
}

/** A form, for one text. */
interface Offer {
  readonly pattern: RegExp;
  verify(candidate: string, start: number): Span | undefined;
}

const FORMS: readonly Form[] = [
  { pattern: INTERNATIONAL, verify: verifyInternational },
  { pattern: AMERICAN, verify: shapedAs('US') },
  { pattern: SPANISH, verify: shapedAs('ES') },
  { pattern: NATIONAL, verify: verifyNational },
];
const FOLLOWING = new Map(FORMS.map(({ pattern }) => [pattern, new RegExp(pattern.source, 'y')]));

/**
 * Phone numbers, as libphonenumber knows them: with a country's code anywhere, national ones where they are written like phone numbers. Where there
 * are hundreds of a form, what is written with a plus sign or in a form of its own counts without being looked up.
 */
export const findPhones: Finder = (text) => {
  const forms = FORMS.map(({ pattern, verify }): Offer => {
    const book = new Book();
    return { pattern, verify: (candidate: string, start: number) => verify(text, candidate, start, book) };
  });
  const found = forms.flatMap(({ pattern, verify }) => scan('phone', pattern, text, verify));
  if (found.length === 0) return found;
  const starts = new Set(found.map(({ start }) => start));
  for (const { end } of [...found]) {
    for (let next = follower(text, end, starts, forms); next; next = follower(text, next[1], starts, forms)) {
      starts.add(next[0]);
      found.push({ entity: 'phone', start: next[0], end: next[1] });
    }
  }
  return found;
};

/** The number directly behind another one: the patterns take what has digits before it for a part of something longer. */
function follower(text: string, end: number, known: ReadonlySet<number>, forms: readonly Offer[]): Span | undefined {
  BETWEEN.lastIndex = end;
  const start = end + (BETWEEN.exec(text)?.[0] ?? '').length;
  if (known.has(start)) return undefined;
  const ahead = text.slice(start, start + FOLLOWER_MAX);
  if (!/^[+(]?\d/.test(ahead)) return undefined;
  for (const { pattern, verify } of forms) {
    const following = FOLLOWING.get(pattern) as RegExp;
    following.lastIndex = 0;
    const [candidate] = following.exec(ahead) ?? [];
    const span = candidate === undefined ? undefined : verify(candidate, start);
    if (span) return span;
  }
  return undefined;
}

/** What has the form that only one country's numbers have. */
function shapedAs(country: CountryCode): Form['verify'] {
  return (text, candidate, start, book) =>
    !isCalledOtherwise(before(text, start)) && (book.isClosed || isPhone(candidate, [country], book))
      ? [start, start + candidate.length]
      : undefined;
}

function verifyInternational(text: string, candidate: string, start: number, book: Book): Span | undefined {
  let possible: Span | undefined;
  const hasPlus = candidate.startsWith('+');
  for (const end of endings(text, candidate, start)) {
    if (book.isClosed) return hasPlus ? [start, start + end] : undefined;
    const number = book.parse(candidate.slice(0, end).replace(/^00[ \u00a0]?/, '+'));
    if (number?.isValid()) return [start, start + end];
    // Numbers that are kept for examples are nobody's, and are phone numbers all the same.
    if (hasPlus && !/\d/.test(text[start - 1] ?? '') && number?.isPossible()) possible ??= [start, start + end];
  }
  return possible;
}

function verifyNational(text: string, candidate: string, start: number, book: Book): Span | undefined {
  if (DATE.test(candidate)) return undefined;
  const words = before(text, start);
  if (isCalledOtherwise(words)) return undefined;
  const isCalled = CALLED_PHONE.test(words);
  const hasTrunk = /^\(?0[1-9]/.test(candidate);
  if (!isCalled && (!hasTrunk || isInAddress(words))) return undefined;
  for (const end of endings(text, candidate, start)) {
    const written = candidate.slice(0, end);
    if (!isCalled && !/\d[ \u00a0./)-]{1,3}\d/.test(written)) continue;
    if (isPhone(written, hasTrunk ? WITH_TRUNK : WITHOUT_TRUNK, book)) return [start, start + end];
  }
  return undefined;
}

/** Within the path of a web address. */
function isInAddress(words: string): boolean {
  return /[A-Za-z_?=&]\w*\/[\w/?=&.-]*$/.test(words);
}

/** Where a number may end: behind its last digit, or behind an earlier group of digits. */
function endings(text: string, candidate: string, start: number): number[] {
  const ends: number[] = [];
  const next = text.slice(start, start + NEXT_WITHIN).search(NEXT_NUMBER);
  if (next > 0 && next < candidate.length) ends.push(next);
  // A bracket or a slash stands at the beginning of a number; later it leads to something else.
  const other = candidate.slice(AREA_MAX).search(/[(/]/);
  let rest = (other < 0 ? candidate : candidate.slice(0, AREA_MAX + other)).replace(/\D{1,22}$/, '');
  for (let cut = 0; cut <= CUTS && rest !== ''; cut++) {
    if (!GOES_ON.test(text.slice(start + rest.length, start + rest.length + GOES_ON_WITHIN))) ends.push(rest.length);
    rest = rest.replace(/\d{1,22}$/, '').replace(/\D{1,22}$/, '');
  }
  return ends;
}

function isPhone(written: string, countries: readonly CountryCode[], book: Book): boolean {
  const digits = written.replace(/\D/g, '');
  if (digits.length < MIN_DIGITS || digits.length > MAX_DIGITS) return false;
  return !book.isClosed && countries.some((country) => book.parse(digits, country)?.isValid() ?? false);
}
