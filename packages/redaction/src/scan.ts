import type { Entity, Finding } from './detector.js';

/** Where in the text what was found begins and ends. */
export type Span = readonly [start: number, end: number];

/** Finds one kind of thing; in order, not overlapping. */
export type Finder = (text: string) => Finding[];

/** What a search begins with again after a candidate that was none: its first word, so that what begins inside it is not missed. */
const FIRST_WORD = /^[^\w]?\w*/;

/**
 * Offers every match of a pattern to `verify`, which says what part of it was meant, if any. The pattern (global) must bound what one match
 * takes, and the start of the next is behind the first word of this one, so the whole is linear.
 */
export function scan(
  entity: Entity,
  pattern: RegExp,
  text: string,
  verify: (candidate: string, start: number) => Span | undefined,
): Finding[] {
  const found: Finding[] = [];
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const span = verify(match[0], match.index);
    if (span) found.push({ entity, start: span[0], end: span[1] });
    pattern.lastIndex = span ? span[1] : match.index + ((FIRST_WORD.exec(match[0]) as RegExpExecArray)[0].length || 1);
  }
  return found;
}

/** Characters in front of a number that are looked at for what it is called. */
const WORDS_BEFORE = 40;

/** What stands in front. */
export function before(text: string, start: number): string {
  return text.slice(Math.max(0, start - WORDS_BEFORE), start);
}

/** Numbers that are called something are that, however much they look like others: orders, goods, publications. */
const CALLED_OTHERWISE =
  /\b(?:orders?|invoice|inv|ref|reference|tickets?|tracking|shipment|parcel|confirmation|lot|batch|serial|s\/n|sku|part|item|isbn|issn|ean|gtin|upc|imei|ndc|pzn|npi|doi|build|version|form|bestell\w{0,8}|rechnungs?\w{0,8}|sendungs?\w{0,8}|paket|auftrags?\w{0,8}|charge|commande|facture|colis|pedido|factura|env[ií]o|lote)(?:[\s.:#=]|no|nr|n[°º]|num(?:ber|mer|[eé]ro)?|id|code){0,6}$/i;

/** Whether a number is called an order, a part and the like by the words in front of it. */
export function isCalledOtherwise(wordsBefore: string): boolean {
  return CALLED_OTHERWISE.test(wordsBefore);
}
