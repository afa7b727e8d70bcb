import { type BuiltInDetector, type Entity, entities, type Finding } from './detector.js';
import type { Sentence } from './sentences.js';

/** How well one kind of thing is found. */
export interface Score {
  readonly entity: Entity;
  /** How many there were, how many of them were found, and how many were found that were none. */
  readonly there: number;
  readonly found: number;
  readonly wrong: number;
  readonly precision: number;
  readonly recall: number;
}

/** Characters a finding may take too many on either side: a bracket, a blank, an extension. */
const SLACK = 3;

/** How well a detector finds what is in the sentences. Found is what is covered whole, by its own name, with at most three characters more on either side. */
export function measure(detector: BuiltInDetector, list: readonly Sentence[]): Score[] {
  const counts = new Map(entities.map((entity) => [entity, { there: 0, found: 0, wrong: 0 }]));
  for (const { text, labels } of list) {
    const findings = detector.detect(text);
    for (const label of labels) {
      const count = counts.get(label.entity) as { there: number; found: number };
      count.there += 1;
      if (findings.some((finding) => isOf(finding, label))) count.found += 1;
    }
    for (const finding of findings) {
      if (!labels.some((label) => isOf(finding, label))) (counts.get(finding.entity) as { wrong: number }).wrong += 1;
    }
  }
  return [...counts].map(([entity, { there, found, wrong }]) => ({
    entity,
    there,
    found,
    wrong,
    precision: found / (found + wrong),
    recall: found / there,
  }));
}

function isOf(finding: Finding, label: Finding): boolean {
  const isWhole = finding.start <= label.start && finding.end >= label.end;
  return finding.entity === label.entity && isWhole && finding.start >= label.start - SLACK && finding.end <= label.end + SLACK;
}
