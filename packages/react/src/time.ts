/** Seconds of what a time is told in. */
const UNITS = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const;

let latest: { locale: string | undefined; format: Intl.RelativeTimeFormat } | undefined;

/** Made once for a language: making one costs more than formatting a hundred times. */
function formatOf(locale: string | undefined): Intl.RelativeTimeFormat {
  if (latest?.locale !== locale || !latest) latest = { locale, format: new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }) };
  return latest.format;
}

/** How long ago a time was (ms since the epoch), in words; what lies ahead by a clock that differs is now. */
export function ago(at: number, now: number, locale?: string): string {
  const seconds = Math.max(0, now - at) / 1000;
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? (['second', Number.POSITIVE_INFINITY] as const);
  return formatOf(locale).format(-Math.floor(seconds / size), unit);
}
