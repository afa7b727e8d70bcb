import { type CountryCode, type PhoneNumber, parsePhoneNumberFromString } from 'libphonenumber-js/core';
import metadata from 'libphonenumber-js/max/metadata';
import type { Finding } from './detector.js';
import { before, type Finder, isCalledOtherwise, type Span, scan } from './scan.js';

/** With a country's code: `+` or `00`, then at most 15 digits (ITU-T E.164) with a few signs between them. */
const INTERNATIONAL = /(?:(?<![\w+])\+|(?<![\w+]|\d[:.,/-])00[ \u00a0]?)[1-9](?:[ \u00a0()./-]{0,3}\d){6,15}/g;
/** As they are written in North America: 3-3-4. */
const AMERICAN = /(?<![\w.+-]|\d[ \u00a0,])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\w|[.,-]\d)/g;
/** As they are written in Spain, where none has a 0 before it. */
const SPANISH =
  /(?<![\w.+-]|\d[ \u00a0,])(?:[6789]\d{2}([ .-])(?:\d{3}\1\d{3}|\d{2}\1\d{2}\1\d{2})|9\d([ .-])\d{3}\2\d{2}\2\d{2})(?!\w|[.,-]\d| ?\d| ?(?:[€$£%]|EUR|USD|CHF))/g;
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
const GOES_ON = /^(?:\w|[-.,:]\d|-\w|@)/;

/** Phone numbers, as libphonenumber knows them: with a country's code anywhere, national ones where they are written like phone numbers. */
export const findPhones: Finder = (text) => [
  ...scan('phone', INTERNATIONAL, text, (candidate, start) => verifyInternational(text, candidate, start)),
  ...findShaped(AMERICAN, 'US', text),
  ...findShaped(SPANISH, 'ES', text),
  ...findNational(text),
];

/** What has the form that only one country's numbers have. */
function findShaped(form: RegExp, country: CountryCode, text: string): Finding[] {
  return scan('phone', form, text, (candidate, start) =>
    !isCalledOtherwise(before(text, start)) && isPhone(candidate, [country]) ? [start, start + candidate.length] : undefined,
  );
}

function verifyInternational(text: string, candidate: string, start: number): Span | undefined {
  let possible: Span | undefined;
  for (const end of endings(text, candidate, start)) {
    const written = candidate.slice(0, end).replace(/^00[ \u00a0]?/, '+');
    const number = parse(written);
    if (number?.isValid()) return [start, start + end];
    // Numbers that are kept for examples are nobody's, and are phone numbers all the same.
    if (candidate.startsWith('+') && number?.isPossible()) possible ??= [start, start + end];
  }
  return possible;
}

function findNational(text: string): Finding[] {
  return scan('phone', NATIONAL, text, (candidate, start) => {
    if (DATE.test(candidate)) return undefined;
    const words = before(text, start);
    if (isCalledOtherwise(words)) return undefined;
    const isCalled = CALLED_PHONE.test(words);
    const hasTrunk = /^\(?0[1-9]/.test(candidate);
    if (!isCalled && (!hasTrunk || isInAddress(words))) return undefined;
    for (const end of endings(text, candidate, start)) {
      const written = candidate.slice(0, end);
      if (!isCalled && !/\d[ \u00a0./)-]{1,3}\d/.test(written)) continue;
      if (isPhone(written, hasTrunk ? WITH_TRUNK : WITHOUT_TRUNK)) return [start, start + end];
    }
    return undefined;
  });
}

/** Within the path of a web address. */
function isInAddress(words: string): boolean {
  return /[\w?=&]\/[\w/?=&.-]*$/.test(words);
}

/** Where a number may end: behind its last digit, or behind an earlier group of digits. */
function endings(text: string, candidate: string, start: number): number[] {
  const ends: number[] = [];
  // A bracket or a slash stands at the beginning of a number; later it leads to something else.
  const other = candidate.slice(AREA_MAX).search(/[(/]/);
  let rest = (other < 0 ? candidate : candidate.slice(0, AREA_MAX + other)).replace(/\D{1,22}$/, '');
  for (let cut = 0; cut <= CUTS && rest !== ''; cut++) {
    if (!GOES_ON.test(text.slice(start + rest.length, start + rest.length + 2))) ends.push(rest.length);
    rest = rest.replace(/\d{1,22}$/, '').replace(/\D{1,22}$/, '');
  }
  return ends;
}

function isPhone(written: string, countries: readonly CountryCode[]): boolean {
  const digits = written.replace(/\D/g, '');
  if (digits.length < MIN_DIGITS || digits.length > MAX_DIGITS) return false;
  return countries.some((country) => parse(digits, country)?.isValid() ?? false);
}

function parse(written: string, defaultCountry?: CountryCode): PhoneNumber | undefined {
  return parsePhoneNumberFromString(written, { ...(defaultCountry && { defaultCountry }), extract: false }, metadata);
}
