import { LRUCache } from 'lru-cache';

/** Formatters kept per process: each takes tens of kilobytes and tens of microseconds to make. */
const MAX_FORMATTERS = 300;
const MAX_LOCALES = 1000;
/** Where nothing, or nothing of use, is known of the recipient. */
const DEFAULT_LOCALE = 'en';
const DEFAULT_ZONE = 'UTC';

/** How a number shows, and each face of a time. */
export type Face = 'number' | 'datetime' | 'date' | 'time' | 'zone';

type Formatter = (value: number) => string;
type Make = (locale: string, timeZone: string) => Formatter;

const makers: Readonly<Record<Face, Make>> = {
  // Three digits, the default, would round a dose of 0.0005 up to twice as much.
  number: (locale) => of(new Intl.NumberFormat(locale, { maximumFractionDigits: 15 })),
  datetime: (locale, timeZone) => ofTime(new Intl.DateTimeFormat(locale, { timeZone, dateStyle: 'long', timeStyle: 'short' })),
  date: (locale, timeZone) => ofTime(new Intl.DateTimeFormat(locale, { timeZone, dateStyle: 'long' })),
  time: (locale, timeZone) => ofTime(new Intl.DateTimeFormat(locale, { timeZone, timeStyle: 'short' })),
  zone: (locale, timeZone) => {
    const format = new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: 'short' });
    return (value) => format.formatToParts(value).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  },
};

function of(format: Intl.NumberFormat): Formatter {
  return (value) => format.format(value);
}

function ofTime(format: Intl.DateTimeFormat): Formatter {
  // A narrow no-break space, as in `9:00 PM`, is in no alphabet of SMS: one of them would more than double the price of the message.
  return (value) => format.format(value).replaceAll('\u202f', ' ');
}

const formatters = new LRUCache<string, Formatter>({ max: MAX_FORMATTERS });
const locales = new LRUCache<string, readonly string[]>({ max: MAX_LOCALES });

/** A number, or a time in ms since the epoch, as a person in this locale and zone reads it. */
export function format(face: Face, value: number, locale = DEFAULT_LOCALE, timeZone = DEFAULT_ZONE): string {
  const key = `${face} ${locale} ${timeZone}`;
  let formatter = formatters.get(key);
  if (!formatter) {
    formatter = makers[face](supported(locale), isZone(timeZone) ? timeZone : DEFAULT_ZONE);
    formatters.set(key, formatter);
  }
  return formatter(value);
}

/** A language tag and the more general ones it falls back to (RFC 4647 §3.4), most special first; none if it is not a language tag. */
export function fallbacks(locale: string): readonly string[] {
  const known = locales.get(locale);
  if (known) return known;
  const list: string[] = [];
  for (let tag = canonical(locale); tag; ) {
    list.push(tag);
    tag = tag.slice(0, Math.max(0, tag.lastIndexOf('-')));
    // What a single letter announces is gone, and so is the letter.
    tag = tag.replace(/-.$/, '');
  }
  locales.set(locale, list);
  return list;
}

/** The one way to write a language tag; undefined if it is none. */
export function canonical(locale: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(locale)[0];
  } catch {
    return undefined;
  }
}

function supported(locale: string): string {
  return canonical(locale) ?? DEFAULT_LOCALE;
}

function isZone(timeZone: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat(DEFAULT_LOCALE, { timeZone }));
  } catch {
    return false;
  }
}
