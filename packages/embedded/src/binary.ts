import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { CarillonError } from '@carillon/contracts';

const NAMES = ['redis-server', 'valkey-server'];
/** Where package managers put servers, for callers whose PATH is short. */
const USUAL_PLACES = ['/usr/bin', '/usr/local/bin', '/opt/homebrew/bin', '/usr/sbin', '/usr/local/sbin'];

/** Path of a redis-server or valkey-server on PATH or in the usual places. */
export function findRedisBinary(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...USUAL_PLACES];
  return NAMES.flatMap((name) => folders.map((folder) => resolve(folder, name))).find(isExecutable);
}

/**
 * Path of a Redis binary, installed by the system's package manager if there is none and we may (root or passwordless sudo; Homebrew as
 * the user). The command is said aloud by `log`; the system's own service is not started.
 *
 * @throws CarillonError REDIS_UNAVAILABLE, its message the one line to type, if there is none and it cannot be installed.
 */
export async function redisBinary(log: (line: string) => void = () => undefined): Promise<string> {
  const found = findRedisBinary();
  if (found !== undefined) return found;
  const install = INSTALLS.find(({ tool }) => USUAL_PLACES.concat('/sbin', '/bin').some((folder) => isExecutable(join(folder, tool))));
  if (install === undefined) {
    throw new CarillonError('REDIS_UNAVAILABLE', { message: 'install redis-server or valkey-server, or set REDIS_URL' });
  }
  const line = install.asUser ? install.command : `sudo ${install.command}`;
  const prefix = privilege(install.asUser);
  if (prefix === undefined) throw new CarillonError('REDIS_UNAVAILABLE', { message: line });
  log(`no Redis found; running: ${prefix.length > 0 ? 'sudo ' : ''}${install.command}`);
  const output = await run([...prefix, '/bin/sh', '-c', install.script ?? install.command]);
  const installed = findRedisBinary();
  if (installed === undefined) throw new CarillonError('REDIS_UNAVAILABLE', { message: line, cause: output });
  return installed;
}

interface Install {
  /** The package manager's program. */
  tool: string;
  /** What a person would type (after sudo), and what is said aloud. */
  command: string;
  /** What is run instead, where that takes more care. */
  script?: string;
  /** Refuses to run as root. */
  asUser: boolean;
}

/**
 * Debian starts and enables a service it installs unless policy-rc.d refuses (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt).
 * The lock's timeout lets another installation finish; a list of packages that is missing or old is fetched.
 */
const APT = `export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\\nexit 101\\n' >"$policy" && chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' INT TERM HUP
fi
install() { apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 redis-server; }
apt-cache show redis-server >/dev/null 2>&1 || apt-get update
install || { apt-get update && install; }
status=$?
[ $status -eq 0 ] && command -v systemctl >/dev/null 2>&1 && systemctl disable redis-server >/dev/null 2>&1
exit $status`;

const INSTALLS: Install[] = [
  { tool: 'apt-get', command: 'apt-get install -y --no-install-recommends redis-server', script: APT, asUser: false },
  {
    tool: 'dnf',
    command: 'dnf install -y valkey',
    script: 'dnf install -y valkey || dnf install -y redis',
    asUser: false,
  },
  { tool: 'apk', command: 'apk add --no-cache redis', asUser: false },
  { tool: 'brew', command: 'brew install redis', asUser: true },
];

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
