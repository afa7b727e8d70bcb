import { type Entity, entities, type Finding } from './detector.js';
import { lookalikes } from './lookalikes.js';
import { innocent, telling } from './phrases.js';
import { createRandom, type Random } from './random.js';
import { samples } from './samples.js';

/** A text, and what is to be found in it. */
export interface Sentence {
  readonly text: string;
  readonly labels: readonly Finding[];
}

/** How often a text has something in it, and how often it goes on with another sentence. */
const TELLING = 0.6;
const GOES_ON = 0.3;

/** Sentences about health as they are sent, with what is to be found in them. The same seed and count give the same ones. */
export function sentences(seed: number, count: number): Sentence[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const first = sentence(random);
    return random.chance(GOES_ON) ? joined(first, sentence(random), random.pick([' ', '\n', ' '])) : first;
  });
}

function joined(a: Sentence, b: Sentence, between: string): Sentence {
  const shift = a.text.length + between.length;
  const moved = b.labels.map(({ entity, start, end }) => ({ entity, start: start + shift, end: end + shift }));
  return { text: a.text + between + b.text, labels: [...a.labels, ...moved] };
}

function sentence(random: Random): Sentence {
  const labels: Finding[] = [];
  let text = '';
  const phrase = random.pick(random.chance(TELLING) ? telling : innocent);
  for (const [i, part] of phrase.split(/{([a-z\d.]+)}/).entries()) {
    const start = text.length;
    text += i % 2 === 0 ? part : draw(part, random);
    const entity = i % 2 === 0 ? undefined : entityOf(part);
    if (entity) labels.push({ entity, start, end: text.length });
  }
  return { text, labels };
}

function entityOf(name: string): Entity | undefined {
  return entities.find((entity) => entity === name.split('.')[0]);
}

function draw(name: string, random: Random): string {
  const make = samples[name] ?? lookalikes[name];
  if (!make) throw new Error(`no sample is named ${name}`);
  return make(random);
}
