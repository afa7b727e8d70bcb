/** Milliseconds: the longest wait before a second try, doubled with each further one, and the longest of all. */
const FIRST = 1_000;
const LONGEST = 30_000;

/** Milliseconds to wait before another connection, after so many tries: as packages/client does, anything up to the longest (full jitter). */
export function backoff(attempts: number, random: () => number = Math.random): number {
  return random() * Math.min(LONGEST, FIRST * 2 ** attempts);
}
