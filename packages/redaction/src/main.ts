import { parseArgs } from 'node:util';
import { createDetector } from './built-in.js';
import { measure } from './measure.js';
import { sentences } from './sentences.js';

/* Prints how well the built-in detector finds each kind of thing in sentences that are made up: `pnpm detector [--seed n] [--count n]`. */

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '10000' } } });
const [seed, count] = [Number(values.seed), Number(values.count)];
if (!Number.isInteger(seed) || !Number.isInteger(count) || count < 1) {
  process.stderr.write('--seed and --count must be whole numbers\n');
  process.exit(2);
}
for (const { entity, there, found, wrong, precision, recall } of measure(createDetector(), sentences(seed, count))) {
  const figures = `precision ${precision.toFixed(4)}  recall ${recall.toFixed(4)}  (${there} there, ${found} found, ${wrong} wrong)`;
  process.stdout.write(`${entity.padEnd(8)}${figures}\n`);
}
