/** HTML as it is read: with its character references resolved, and the way back. */
export interface Readable {
  readonly text: string;
  /** Where a position of the text is in the HTML. */
  at(position: number): number;
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };
const REFERENCE = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos|nbsp));/g;
const LAST_CODE_POINT = 0x10ffff;

/** Resolves the references by which values are escaped: what is looked for has slashes, quotes and equals signs in it. */
export function readHtml(html: string): Readable {
  /** Where in the text references were resolved, and how many characters were lost up to there. */
  const positions: number[] = [];
  const losses: number[] = [];
  let lost = 0;
  const text = html.replace(REFERENCE, (reference, decimal, hex, name, index: number) => {
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    if (name === undefined && code > LAST_CODE_POINT) return reference;
    const sign = name === undefined ? String.fromCodePoint(code) : (NAMED[name] as string);
    positions.push(index - lost);
    lost += reference.length - sign.length;
    losses.push(lost);
    return sign;
  });
  return { text, at: (position) => position + (losses[countBelow(positions, position) - 1] ?? 0) };
}

/** How many of the ascending numbers are below one. */
function countBelow(ascending: readonly number[], limit: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] as number) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
