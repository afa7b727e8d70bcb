import { toneOf } from './words.js';

/** A status, coloured by how well it goes; the word is always there. */
export function Status({ of }: { of: string }) {
  return <span className={`status status-${toneOf(of)}`}>{of}</span>;
}
