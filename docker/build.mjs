// The build of the image: installs and builds this checkout, and puts what runs, with the production dependencies alone, into a folder.
// Usage: node docker/build.mjs <folder that is not there yet>
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { root, say, setUp, step } from '../scripts/set-up.mjs';

/** What starts every role and finds them in what `pnpm deploy` leaves. */
const COMPOSER = '@carillon/standalone';
/** Left by `pnpm deploy` for a later install; they name folders of the machine that built. */
const LEFTOVERS = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'node_modules/.modules.yaml', 'node_modules/.pnpm-workspace-state-v1.json'];

const [given] = process.argv.slice(2);
if (given === undefined) {
  say('usage: node docker/build.mjs <folder>');
  process.exit(2);
}
const out = resolve(given);
await setUp();
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const args = ['--yes', packageManager, '--filter', COMPOSER, '--pm-on-fail=ignore', 'deploy', '--prod', out];
// CI: pnpm must not ask.
if (!(await step(`gathering what runs (npx ${packageManager} deploy)`, 'npx', args, 0, { ...process.env, CI: 'true' }))) process.exit(1);
for (const leftover of LEFTOVERS) rmSync(join(out, leftover), { force: true });
for (const script of ['entrypoint.mjs', 'health.mjs']) cpSync(join(root, 'docker', script), join(out, script));
