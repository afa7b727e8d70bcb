// `pnpm check`: format and lint, types of the product and of the tests, the import graph, the sizes of bundles.
// All are run; any breach fails.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { environment, node, root, setUp } from './set-up.mjs';

await setUp({ build: false });
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const checks = [
  ['format and lint', [join(root, 'node_modules/@biomejs/biome/bin/biome'), 'ci', ...(process.stdout.isTTY ? [] : ['--colors=off']), '.']],
  ['types', [tsc, '-b']],
  ['types of tests', [tsc, '-p', 'tsconfig.test.json']],
  ['import graph', [join(root, 'scripts/graph.mjs')]],
  ['sizes of bundles', [join(root, 'scripts/sizes.mjs')]],
];
let failed = 0;
for (const [name, args] of checks) {
  const { status } = spawnSync(node(), args, { cwd: root, env: environment(), stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) failed++;
  process.stdout.write(`${status === 0 ? 'ok    ' : 'FAILED'} ${name}\n`);
}
process.exit(failed === 0 ? 0 : 1);
