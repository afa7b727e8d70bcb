/** Chance that repeats: the same seed gives the same sequence. Not for secrets. */
export interface Random {
  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number;
  pick<T>(list: readonly T[]): T;
  /** Whether something of this probability happens. */
  chance(probability: number): boolean;
  /** Text in which `#` stands for any digit, `N` for one from 2 to 9, `@` for a capital letter and `x` for a hexadecimal digit. */
  form(pattern: string): string;
}

const CAPITALS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const HEX = '0123456789abcdef';

/** Mulberry32: 32 bits of state, good enough to choose words with. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  const drawn: Readonly<Record<string, () => string>> = {
    '#': () => String(int(0, 9)),
    N: () => String(int(2, 9)),
    '@': () => CAPITALS[int(0, 25)] as string,
    x: () => HEX[int(0, 15)] as string,
  };
  return {
    int,
    pick: (list) => list[int(0, list.length - 1)] as (typeof list)[number],
    chance: (probability) => next() < probability,
    form: (pattern) => pattern.replace(/[#N@x]/g, (sign) => (drawn[sign] as () => string)()),
  };
}
