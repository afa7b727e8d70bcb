import validator from 'validator';
import { before, type Finder, isCalledOtherwise, scan } from './scan.js';

/*
 * Numbers that prove themselves: by a check digit, or by ranges. Every pattern takes a bounded piece of text and its parts exclude each other,
 * so none can go back and forth for long.
 */

/** As they are printed (4-4-4-4, 4-6-5, 4-6-4) or without blanks. */
const CARD =
  /(?<![\w.,+-])(?:\d{4}([ \u00a0.-])\d{4}\1\d{4}\1\d{3,4}(?:\1\d{3})?|\d{4}([ \u00a0.-])\d{6}\2\d{4,5}|\d{13,19})(?!\w|[.,-]\d)/g;

/** Numbers of payment cards: an issuer's beginning and length, and the check digit (ISO/IEC 7812-1). */
export const findCards: Finder = (text) =>
  scan('card', CARD, text, (candidate, start) => {
    const digits = candidate.replace(/\D/g, '');
    // The library takes any length for some of Mastercard's beginnings.
    if (!validator.isCreditCard(digits) || (/^(?:5|2[2-7])/.test(digits) && digits.length !== 16)) return undefined;
    return isCalledOtherwise(before(text, start)) ? undefined : [start, start + candidate.length];
  });

/** ISO 13616: country, two check digits, 11 to 30 letters and digits. */
const IBAN = /(?<=\biban|(?<![A-Z0-9]))[A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z0-9]){11,30}/gi;
const SHORTEST_IBAN = 15;

/** International bank account numbers: a country's form and length, and the check digits. What follows one may look like a part of it. */
export const findIbans: Finder = (text) =>
  scan('iban', IBAN, text, (candidate, start) => {
    for (let end = candidate.length; end >= SHORTEST_IBAN; end = lastBlank(candidate, end)) {
      const isWhole = !/[A-Za-z0-9]/.test(text[start + end] ?? '');
      if (isWhole && validator.isIBAN(candidate.slice(0, end))) return [start, start + end];
    }
    return undefined;
  });

function lastBlank(text: string, end: number): number {
  return Math.max(text.lastIndexOf(' ', end - 1), text.lastIndexOf('-', end - 1), text.lastIndexOf('\u00a0', end - 1));
}

const SSN = /(?<![\w.+-]|\d[ \u00a0])(?:\d{3}([ \u00a0-])\d{2}\1\d{4}|\d{9})(?!\w|[.,-]\d|[ \u00a0]\d)/g;
/** Areas 000, 666 and from 900, group 00 and serial 0000 are never given out (SSA, POMS RM 10201.035). */
const NEVER_GIVEN = /^(?:000|666|9)|^...00|0000$/;
const CALLED_SSN = /\b(?:ssn|ss#|soc(?:ial)?\.? sec(?:urity)?)(?:[\s.:#=]|no|number|is|num){0,8}$/i;
const CALLED_PHONE = /\b(?:tel|phone|fax|mobil)\w{0,8}[.:\s]{0,3}$/i;

/** Social security numbers of the United States. Nine digits in a row only where they are called so. */
export const findSsns: Finder = (text) =>
  scan('ssn', SSN, text, (candidate, start) => {
    const digits = candidate.replace(/\D/g, '');
    if (NEVER_GIVEN.test(digits)) return undefined;
    const words = before(text, start);
    const isCalled = CALLED_SSN.test(words);
    const isShaped = candidate.length > digits.length && !isCalledOtherwise(words) && !CALLED_PHONE.test(words);
    return isCalled || isShaped ? [start, start + candidate.length] : undefined;
  });
