import type { Finding } from './detector.js';
import { before, type Finder } from './scan.js';

/*
 * What is known only by the words in front of it: the words are looked for, then what follows them.
 */

/** What an account with an insurer or a practice is called. */
const RECORD_NAME = new RegExp(
  [
    'mrn|mbi|nhs (?:number|no)|(?:medical|health) records?',
    '(?:patient|chart|case file|member|membership|subscriber|enrollee|beneficiary|policy|insurance|plan|group|account|claim|medicare|medicaid|prescription|rx)(?= ?-?(?:id|no|nr|num|#))',
    '(?:patienten|versicherten|versicherungs|krankenversicherten|kranken|mitglieds|fall|akten|policen|konto|kunden)-?(?:nummer|nr|kennung|id|zeichen)',
    '(?:num[ée]ro|n[°ºo])\\.? (?:de |d.)?(?:dossier|patient|assur[ée]|adh[ée]rent|contrat|police|s[ée]curit[ée] sociale)',
    '(?:n[úu]mero|n[°ºo])\\.? de (?:p[óo]liza|paciente|afiliad[oa]|historia(?: cl[ií]nica)?|expediente|asegurad[oa])|historia cl[ií]nica',
  ].join('|'),
  'gi',
);
/** What may stand between a name and its number. */
const RECORD_LINK = /(?:[\s:#.=()-]|number|num|nummer|nr|no|id|is|was|lautet|ist|est|es){0,8}/iy;
const RECORD_VALUE = /(?=[A-Z/.-]{0,5}\d)[A-Z0-9][A-Z0-9/.-]{3,22}/iy;
const NHS_NUMBER = /\d{3}[ -]\d{3}[ -]\d{4}(?!\d)/y;
const DIGITS_MIN = 4;
const FULL_DATE = /^(?:\d{4}[./-]\d{1,2}[./-]\d{1,2}|\d{1,2}[./-]\d{1,2}[./-]\d{4})$/;

/** Numbers of medical records, plans, policies and accounts. */
export const findRecords: Finder = (text) =>
  after(RECORD_NAME, text, (at) => {
    const start = skip(RECORD_LINK, text, at);
    if (start === at) return undefined;
    const value = match(NHS_NUMBER, text, start) ?? match(RECORD_VALUE, text, start)?.replace(/[/.-]{1,22}$/, '') ?? '';
    if (value.replace(/\D/g, '').length < DIGITS_MIN || FULL_DATE.test(value)) return undefined;
    return { entity: 'record', start, end: start + value.length };
  });

const BIRTH_NAME =
  /d\.? ?o\.? ?b\b\.?|birth(?: ?(?:date|day))?|born|geb(?:oren\b|\.)|geburts(?:datum|tag)|née?(?![a-zà-ÿ])|naissance|naci(?:do|da|miento|ó)|nac\.|\(\*/gi;
const BIRTH_LINK = /(?:[\s:.,=(]|on|am|den|the|le|el|is|was|ist|est|es){0,8}/iy;
const NUMERIC = /(\d{1,4})([./-]) ?(\d{1,2})\2 ?(\d{4}|\d{1,2})(?!\d)/y;
const DAY_FIRST = /(\d{1,2})(?:st|nd|rd|th|er|\.)?[ -](?:de |of )?(\p{L}{3,10})\.?,?[ -](?:de |del )?(\d{4})(?!\d)/iuy;
const MONTH_FIRST = /(\p{L}{3,10})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})(?!\d)/iuy;
/** How months begin in English, German, French and Spanish. */
const MONTH = /^(?:jan|ene|f[eé][bv]|m[aäe]r|mrz|a[pvb]r|ma[iy]|ju[nil]|jän|a[uog][goû]|sep|[os][ekc]t|nov|d[eéi][cz])/i;
/** The oldest person there was, in whole years, and some. */
const AGE_MAX = 125;

/** Dates of birth. */
export const findBirths: Finder = (text) =>
  after(BIRTH_NAME, text, (at) => {
    const start = skip(BIRTH_LINK, text, at);
    const length = dateLength(text, start);
    return length === 0 ? undefined : { entity: 'birth', start, end: start + length };
  });

function dateLength(text: string, start: number): number {
  const numeric = parts(NUMERIC, text, start);
  if (numeric) {
    const [whole, first, , second, last] = numeric as unknown as [string, string, string, string, string];
    const [year, days] = first.length === 4 ? [first, [second, last]] : [last, [first, second]];
    return isYear(year) && isDayAndMonth(days.map(Number)) ? whole.length : 0;
  }
  const [whole, day, month, year] = parts(DAY_FIRST, text, start) ?? [];
  if (whole && isWritten(day, month, year)) return whole.length;
  const [other, itsMonth, itsDay, itsYear] = parts(MONTH_FIRST, text, start) ?? [];
  return other && isWritten(itsDay, itsMonth, itsYear) ? other.length : 0;
}

function isWritten(day: string | undefined, month: string | undefined, year: string | undefined): boolean {
  return isDayAndMonth([Number(day), 1]) && MONTH.test(month ?? '') && isYear(year ?? '');
}

/** In either order: 03/04 is a day here and another there. */
function isDayAndMonth(numbers: readonly number[]): boolean {
  return Math.min(...numbers) >= 1 && Math.min(...numbers) <= 12 && Math.max(...numbers) <= 31;
}

function isYear(year: string): boolean {
  const now = new Date().getUTCFullYear();
  return year.length === 2 || (Number(year) >= now - AGE_MAX && Number(year) <= now);
}

/** What follows each name, unless the name is the end of a longer word. */
function after(name: RegExp, text: string, find: (at: number) => Finding | undefined): Finding[] {
  const found: Finding[] = [];
  name.lastIndex = 0;
  for (let hit = name.exec(text); hit; hit = name.exec(text)) {
    if (/[\p{L}\p{N}_]$/u.test(before(text, hit.index))) continue;
    const finding = find(name.lastIndex);
    if (!finding) continue;
    found.push(finding);
    name.lastIndex = finding.end;
  }
  return found;
}

function parts(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
function match(pattern: RegExp, text: string, at: number): string | undefined {
  return parts(pattern, text, at)?.[0];
}
function skip(pattern: RegExp, text: string, at: number): number {
  return at + (match(pattern, text, at)?.length ?? 0);
}
