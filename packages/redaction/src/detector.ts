/** What is looked for. `record`: numbers of medical records, plans and accounts; `birth`: dates of birth; both by what stands before them. `url`: addresses with a token. */
export const entities = ['card', 'iban', 'ssn', 'phone', 'email', 'ip', 'record', 'birth', 'url'] as const;
export type Entity = (typeof entities)[number];

/** Where something was found, in UTF-16 units: `text.slice(start, end)`. */
export interface Finding {
  readonly entity: Entity;
  readonly start: number;
  readonly end: number;
}

/**
 * Finds personal data in text. What a detector of your own has to be: findings in order, not overlapping, in time linear to the text, within a
 * second. Where it is not, the built-in detector's findings are taken, and what went wrong is logged.
 */
export interface PiiDetector {
  detect(text: string): readonly Finding[] | Promise<readonly Finding[]>;
}

/** The detector that comes with Carillon; it answers at once. */
export interface BuiltInDetector extends PiiDetector {
  detect(text: string): readonly Finding[];
}
