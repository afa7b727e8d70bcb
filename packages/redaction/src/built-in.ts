import { findEmails, findIps, findUrls } from './addresses.js';
import type { BuiltInDetector, Entity, Finding } from './detector.js';
import { findBirths, findRecords } from './named.js';
import { findCards, findIbans, findSsns } from './numbers.js';
import { findPhones } from './phones.js';

/** Where two overlap, the one that is named first here stands. */
const RANK: readonly Entity[] = ['url', 'email', 'iban', 'card', 'record', 'birth', 'ssn', 'ip', 'phone'];
const WITH_DIGITS = [findIbans, findCards, findRecords, findBirths, findSsns, findIps, findPhones];

/**
 * The detector that comes with Carillon. It finds what has a form: candidates by patterns, each verified by its check digits, its country's
 * rules or the words in front of it. It does not find names and places. Time is linear to the text; it keeps nothing and never throws.
 */
export function createDetector(): BuiltInDetector {
  return { detect };
}

function detect(text: string): readonly Finding[] {
  const found: Finding[] = [];
  if (text.includes('://')) found.push(...findUrls(text));
  if (text.includes('@')) found.push(...findEmails(text));
  if (/\d/.test(text)) for (const find of WITH_DIGITS) for (const finding of find(text)) found.push(finding);
  return found.length < 2 ? found : withoutOverlaps(found);
}

function withoutOverlaps(found: Finding[]): Finding[] {
  const kept: Finding[] = [];
  for (const finding of found.sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = kept.at(-1);
    if (!last || last.end <= finding.start) kept.push(finding);
    else if (RANK.indexOf(finding.entity) < RANK.indexOf(last.entity)) kept[kept.length - 1] = finding;
  }
  return kept;
}

/** The text with each finding's name in its place: `[card]`. Findings are in order and do not overlap. */
export function mask(text: string, findings: readonly Finding[]): string {
  let masked = '';
  let at = 0;
  for (const { entity, start, end } of findings) {
    masked += `${text.slice(at, start)}[${entity}]`;
    at = end;
  }
  return masked + text.slice(at);
}
