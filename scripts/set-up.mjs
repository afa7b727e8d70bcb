// Sets up what a checkout lacks: dependencies and build. Plain JavaScript for Node 20, since nothing is installed yet when it runs.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const root = fileURLToPath(new URL('..', import.meta.url));

const bin = join(root, 'node_modules', '.bin');
const stamp = join(root, 'node_modules', '.carillon-setup');
/** Milliseconds of silence before a step says what it does. */
const SILENCE = 700;
/** Milliseconds between two looks at a set-up that another process does. */
const LOOK = 100;

/** One line about a step, apart from what the program itself writes. */
export const say = (line) => process.stderr.write(`set-up: ${line}\n`);

/** Installs if the lock file is not the one installed last, and builds what changed. Ends the process when a step fails. */
export async function setUp({ build: withBuild = true } = {}) {
  const release = await lock();
  try {
    await install();
    if (withBuild && !(await build())) process.exit(1);
  } finally {
    release();
  }
}

/** Builds what changed since the last build; false, with the errors printed, if it fails. */
export async function build() {
  return (await step('building', node(), [join(root, 'node_modules/typescript/bin/tsc'), '-b'], SILENCE)) && buildPage();
}

/** What the page is built from. */
const pageSources = [
  ...['index.html', 'vite.config.mjs', 'package.json', 'src'].map((part) => `apps/page/${part}`),
  ...['src', 'package.json'].map((part) => `packages/client/${part}`),
  ...['src', 'package.json', 'styles.css'].map((part) => `packages/react/${part}`),
  'pnpm-lock.yaml',
];

/** Builds the page if its sources are others than those of the last build. */
async function buildPage() {
  const folder = join(root, 'apps/page');
  const built = join(folder, 'dist/.page-sources');
  const wanted = createHash('sha256')
    .update(pageSources.flatMap((part) => stampsOf(join(root, part))).join('\n'))
    .digest('hex');
  if (existsSync(join(folder, 'dist/client/index.html')) && readOr(built, '') === wanted) return true;
  const vite = join(folder, 'node_modules/vite/bin/vite.js');
  if (!(await step('building the page', node(), [vite, 'build', '--config', join(folder, 'vite.config.mjs')], SILENCE))) return false;
  writeFileSync(built, wanted);
  return true;
}

/** Every file of a folder with when it was written and how long it is; a file alone just so. */
function stampsOf(path) {
  const stats = statSync(path);
  if (stats.isFile()) return [`${path} ${stats.mtimeMs} ${stats.size}`];
  return readdirSync(path).flatMap((name) => stampsOf(join(path, name)));
}

/** The Node this repository runs on, whatever the machine has; the running one where the former cannot run (musl, an odd processor). */
export function node() {
  chosenNode ??= chooseNode();
  return chosenNode;
}
let chosenNode;

function chooseNode() {
  const own = join(bin, 'node');
  if (existsSync(own) && spawnSync(own, ['--version']).status === 0) return realpathSync(own);
  say(`node_modules/.bin/node does not run here; using Node ${process.versions.node}`);
  return process.execPath;
}

/** The environment with our programs first on PATH and nothing reported home. */
export function environment(more = {}) {
  return { ...process.env, PATH: `${bin}:${process.env.PATH ?? ''}`, TURBO_TELEMETRY_DISABLED: '1', ...more };
}

/** Runs a step to its end. Says its name after `silence` ms, and its output only if it fails. Resolves with whether it went well. */
export function step(name, program, args, silence = 0, env = environment()) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => say(name), silence);
    const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    const end = (went, why) => {
      clearTimeout(timer);
      if (!went) say(`${name} failed (${why})\n${output}`);
      resolve(went);
    };
    child.once('error', (error) => end(false, error.message));
    child.once('close', (code, signal) => end(code === 0, signal ?? `exit code ${code}`));
  });
}

/** Installs the dependencies of the lock file, through npx, since pnpm may be missing. */
async function install() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && existsSync(join(bin, 'node'))) return;
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  // CI: pnpm must not ask.
  const env = { ...process.env, CI: 'true' };
  const name = `installing dependencies (npx ${packageManager} install)`;
  // npx runs the pinned pnpm already; where a registry's list lacks it, pnpm would want to write its pin into the frozen lock file.
  const args = ['--yes', packageManager, 'install', '--frozen-lockfile', '--pm-on-fail=ignore'];
  if (!(await step(name, 'npx', args, 0, env))) process.exit(1);
  writeFileSync(stamp, wanted);
}

/** One set-up at a time in a checkout; a lock whose process is gone does not count. */
async function lock() {
  const dir = join(root, '.data', 'set-up.lock');
  const owner = join(dir, 'pid');
  mkdirSync(join(root, '.data'), { recursive: true, mode: 0o700 });
  const ours = `${dir}.${process.pid}`;
  rmSync(ours, { recursive: true, force: true });
  mkdirSync(ours);
  writeFileSync(join(ours, 'pid'), String(process.pid));
  const release = () => rmSync(dir, { recursive: true, force: true });
  for (let looks = 0; ; ) {
    try {
      // A folder that is not empty cannot be renamed over: whoever comes second fails.
      renameSync(ours, dir);
      process.once('exit', () => isOurs(owner) && release());
      return release;
    } catch (error) {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    }
    const holder = readOr(owner, '');
    if (holder !== '' && !isAlive(Number(holder)) && readOr(owner, '') === holder) release();
    else if (++looks * LOOK === SILENCE) say(`waiting for process ${holder}, which sets up`);
    await sleep(LOOK);
  }
}

const isOurs = (owner) => readOr(owner, '') === String(process.pid);

function readOr(file, otherwise) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
