import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { CarillonError } from '@carillon/contracts';

/** A program we need and do not ship. */
interface Program {
  /** For people. */
  readonly what: string;
  /** Names of its binary, the best first; or the whole path where it is on nobody's PATH. */
  readonly names: readonly string[];
  /** The package that has it, by package manager; where there are several, the first that can be had. */
  readonly packages: Readonly<Record<Tool, readonly string[]>>;
  /** What its absence is, and what to do where no package manager is known. */
  readonly code: 'REDIS_UNAVAILABLE' | 'INTERNAL';
  readonly advice: string;
}
type Tool = 'apt-get' | 'dnf' | 'apk' | 'brew';

const programs = {
  redis: {
    what: 'Redis',
    names: ['redis-server', 'valkey-server'],
    packages: { 'apt-get': ['redis-server'], dnf: ['valkey', 'redis'], apk: ['redis'], brew: ['redis'] },
    code: 'REDIS_UNAVAILABLE',
    advice: 'install redis-server or valkey-server, or set REDIS_URL',
  },
  chromium: {
    what: 'Chromium',
    names: [
      'chromium',
      'chromium-browser',
      'google-chrome-stable',
      'google-chrome',
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
      '/Applications/Chromium.app/Contents/MacOS/Chromium',
    ],
    packages: { 'apt-get': ['chromium'], dnf: ['chromium'], apk: ['chromium'], brew: ['google-chrome'] },
    code: 'INTERNAL',
    advice: 'install Chromium',
  },
  haproxy: {
    what: 'HAProxy',
    names: ['haproxy'],
    packages: { 'apt-get': ['haproxy'], dnf: ['haproxy'], apk: ['haproxy'], brew: ['haproxy'] },
    code: 'INTERNAL',
    advice: 'install HAProxy',
  },
} as const satisfies Record<string, Program>;
/** A program that `installedPrograms` knows. */
export type ProgramName = keyof typeof programs;

/** Where package managers put programs, for callers whose PATH is short. */
const USUAL_PLACES = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin', '/usr/sbin', '/usr/local/sbin'];

/** Path of a redis-server or valkey-server on PATH or in the usual places. */
export function findRedisBinary(): string | undefined {
  return find(programs.redis);
}

/**
 * Path of a Redis binary, installed if there is none (see installedPrograms).
 *
 * @throws CarillonError REDIS_UNAVAILABLE, its message the one line to type, if there is none and it cannot be installed.
 */
export async function redisBinary(log?: (line: string) => void): Promise<string> {
  return (await installedPrograms(['redis'], log)).redis;
}

/** Path of a Chromium or Chrome, installed if there is none (see installedPrograms). @throws CarillonError INTERNAL likewise */
export async function chromiumBinary(log?: (line: string) => void): Promise<string> {
  return (await installedPrograms(['chromium'], log)).chromium;
}

/** Path of an HAProxy, installed if there is none (see installedPrograms). @throws CarillonError INTERNAL likewise */
export async function haproxyBinary(log?: (line: string) => void): Promise<string> {
  return (await installedPrograms(['haproxy'], log)).haproxy;
}

/**
 * Paths of the programs named. Those that are missing are installed in one run of the system's package manager, if we may (root or
 * passwordless sudo; Homebrew as the user). The command is said aloud by `log`; no service of the system is started.
 *
 * @throws CarillonError (`REDIS_UNAVAILABLE` for Redis, else `INTERNAL`), its message the one line to type, if one cannot be installed.
 */
export async function installedPrograms<N extends ProgramName>(
  names: readonly N[],
  log: (line: string) => void = () => undefined,
): Promise<Record<N, string>> {
  const missing: Program[] = names.map((name) => programs[name]).filter((program) => find(program) === undefined);
  const cause = missing.length > 0 ? await install(missing, log) : undefined;
  const paths = names.map((name) => [name, find(programs[name])]);
  const still = missing.filter((program) => find(program) === undefined);
  if (still[0]) throw new CarillonError(still[0].code, { message: lineToType(still), cause });
  return Object.fromEntries(paths) as Record<N, string>;
}

function find({ names }: Program): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...USUAL_PLACES];
  return names.flatMap((name) => folders.map((folder) => resolve(folder, name))).find(isExecutable);
}

/** Installs what may be installed, and resolves with the end of what the package manager said. */
async function install(missing: readonly Program[], log: (line: string) => void): Promise<string | undefined> {
  const manager = systemsManager();
  const prefix = manager && privilege(manager.asUser);
  if (!manager || !prefix) return undefined;
  const wanted = missing.map(({ packages }) => packages[manager.tool]);
  log(
    `no ${missing.map(({ what }) => what).join(', no ')} found; running: ${prefix.length > 0 ? 'sudo ' : ''}${commandOf(manager, wanted)}`,
  );
  return run([...prefix, '/bin/sh', '-c', manager.script?.(wanted) ?? commandOf(manager, wanted)]);
}

/** What a person would type. */
function lineToType(missing: readonly Program[]): string {
  const manager = systemsManager();
  if (!manager) return missing.map(({ advice }) => advice).join('; ');
  const line = commandOf(
    manager,
    missing.map(({ packages }) => packages[manager.tool]),
  );
  return manager.asUser ? line : `sudo ${line}`;
}

interface Manager {
  readonly tool: Tool;
  /** What a person would type (after sudo) before the packages, and what is said aloud. */
  readonly command: string;
  /** What is run instead, where that takes more care. */
  readonly script?: (wanted: readonly (readonly string[])[]) => string;
  /** Refuses to run as root. */
  readonly asUser: boolean;
}

const commandOf = ({ command }: Manager, wanted: readonly (readonly string[])[]) =>
  `${command} ${wanted.map(([first]) => first).join(' ')}`;

/**
 * Debian starts and enables a service it installs unless policy-rc.d refuses (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt).
 * The lock's timeout lets another installation finish; a list of packages that is missing or old is fetched.
 */
const apt = (packages: string) => `export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\\nexit 101\\n' >"$policy" && chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' INT TERM HUP
fi
install() { apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 ${packages}; }
apt-cache show ${packages} >/dev/null 2>&1 || apt-get update
install || { apt-get update && install; }
status=$?
if [ $status -eq 0 ] && command -v systemctl >/dev/null 2>&1; then
  for service in ${packages}; do systemctl disable "$service" >/dev/null 2>&1; done
fi
exit $status`;

const MANAGERS: readonly Manager[] = [
  {
    tool: 'apt-get',
    command: 'apt-get install -y --no-install-recommends',
    script: (wanted) => apt(wanted.map(([first]) => first).join(' ')),
    asUser: false,
  },
  {
    tool: 'dnf',
    command: 'dnf install -y',
    script: (wanted) => wanted.map((names) => names.map((name) => `dnf install -y ${name}`).join(' || ')).join('\n'),
    asUser: false,
  },
  { tool: 'apk', command: 'apk add --no-cache', asUser: false },
  { tool: 'brew', command: 'brew install', asUser: true },
];

function systemsManager(): Manager | undefined {
  return MANAGERS.find(({ tool }) => USUAL_PLACES.concat('/sbin', '/bin').some((folder) => isExecutable(join(folder, tool))));
}

/** What to put before a command so that it may install: nothing, sudo, or undefined if there is no way without a password. */
function privilege(asUser: boolean): string[] | undefined {
  const root = process.getuid?.() === 0;
  if (asUser) return root ? undefined : [];
  if (root) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

/** Runs to the end, whatever it is, and resolves with the end of what it said. */
function run([program = '', ...args]: string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-2_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => resolve(error.message));
    child.once('close', () => resolve(output));
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
