// Entry of `npm start`, `npm test` and the pnpm scripts: sets up what is missing, then runs the program on this repository's own Node.
import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { build, environment, node, root, say, setUp, step } from './set-up.mjs';

/** Milliseconds in which the same signal again is the same wish: a Ctrl-C arrives from the terminal and from npm. */
const SAME_WISH = 1_000;
/** Milliseconds between two looks at the sources under `--watch`. */
const LOOK = 400;
/** Milliseconds a program under `--watch` has to shut down. */
const GRACE = 15_000;

/**
 * Starts a program in a session of its own, so that a Ctrl-C reaches it once, through us. It ends when we are gone, however we went.
 */
function start(args, env = environment()) {
  const endWithUs = pathToFileURL(join(root, 'scripts/end-with-parent.mjs')).href;
  const child = spawn(node(), ['--import', endWithUs, ...args], { env, stdio: 'inherit', detached: true });
  const exited = new Promise((resolve) => {
    child.once('error', (error) => {
      say(error.message);
      resolve(1);
    });
    child.once('exit', (code, signal) => resolve(signal === null ? code : 128 + constants.signals[signal]));
  });
  return { child, exited };
}

/** Passes the signals that end us on to whatever program runs. */
function forwardSignals(current) {
  const last = { SIGINT: 0, SIGTERM: 0 };
  for (const [received, sent] of [
    ['SIGINT', 'SIGINT'],
    ['SIGTERM', 'SIGTERM'],
    ['SIGHUP', 'SIGTERM'],
  ]) {
    process.on(received, () => {
      if (Date.now() - last[sent] < SAME_WISH) return;
      last[sent] = Date.now();
      current()?.kill(sent);
    });
  }
}

/** Runs a program to its end and ends with its code. */
async function run(args, env) {
  const { child, exited } = start(args, env);
  forwardSignals(() => child);
  process.exit(await exited);
}

/** Runs a program, and again after each change of the sources that builds. */
async function runWatched(args) {
  let ending = false;
  let program = start(args);
  forwardSignals(() => {
    ending = true;
    return program.child;
  });
  let seen = fingerprint();
  while (!ending) {
    await sleep(LOOK);
    const now = fingerprint();
    if (now === seen) continue;
    seen = now;
    // An editor may still be writing.
    await sleep(LOOK);
    if (fingerprint() !== now || ending) {
      seen = '';
      continue;
    }
    if (!(await build()) || ending) continue;
    say('sources changed, starting again');
    program.child.kill('SIGTERM');
    const timer = setTimeout(() => program.child.kill('SIGKILL'), GRACE);
    await program.exited;
    clearTimeout(timer);
    if (!ending) program = start(args);
  }
  process.exit(await program.exited);
}

/** Changes whenever a source file does. */
function fingerprint() {
  const files = [];
  for (const folder of ['packages', 'apps']) {
    for (const name of readdirSync(join(root, folder))) for (const part of ['src', 'lua']) list(join(root, folder, name, part), files);
  }
  return files.map((file) => `${file} ${statSync(file, { throwIfNoEntry: false })?.mtimeMs}`).join('\n');
}

function list(dir, files) {
  let entries = [];
  try {
    entries = readdirSync(dir, { withFileTypes: true });
  } catch {
    return;
  }
  for (const entry of entries) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) list(path, files);
    else if (!entry.name.endsWith('.test.ts')) files.push(path);
  }
}

/** Programs the tests need that no registry has: Redis, without which nothing is worth starting, then all others in one run. */
async function installPrograms() {
  const { installedPrograms } = await import(pathToFileURL(join(root, 'packages/embedded/dist/index.js')).href);
  await installedPrograms(['redis'], say).catch((error) => {
    say(`the tests need a Redis: ${error.message}`);
    process.exit(1);
  });
  await installedPrograms(['chromium', 'haproxy'], say).catch((error) => {
    say(`the tests of pages or of the proxy will fail for want of a program: ${error.message}`);
  });
}

/** Everything the tests need, and Jest. */
async function runTests(args, env = {}) {
  await installPrograms();
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  if (!(await step('checking the types of the tests', node(), [tsc, '-p', 'tsconfig.test.json'], 2_000))) process.exit(1);
  const NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`.trim();
  process.chdir(root);
  await run([join(root, 'node_modules/jest/bin/jest.js'), ...args], environment({ NODE_OPTIONS, ...env }));
}

const script = (file) => join(root, file);
const commands = {
  start: (args) => run([script('apps/standalone/dist/main.js'), ...args]),
  worker: ([first, ...rest]) => {
    const worker = script('apps/standalone/dist/worker.js');
    return first === '--watch' ? runWatched([worker, ...rest]) : run([worker, ...(first === undefined ? [] : [first, ...rest])]);
  },
  test: (args) => runTests(args),
  soak: (args) => runTests(['--selectProjects', 'e2e', ...args], { CARILLON_SOAK: '1' }),
  audit: (args) => run([script('apps/standalone/dist/audit.js'), ...args]),
  bench: (args) => run([script('apps/bench/dist/main.js'), ...args]),
};

const [name = '', ...rest] = process.argv.slice(2).filter((argument, index) => !(index > 0 && argument === '--'));
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (command === undefined) {
  say(`usage: node scripts/carillon.mjs ${Object.keys(commands).join(' | ')}`);
  process.exit(2);
}
// Under npm, a parent that is gone is a user who is gone: some shells die without passing the signal on.
if (process.env.npm_lifecycle_event !== undefined) await import('./end-with-parent.mjs');
await setUp();
await command(rest);
