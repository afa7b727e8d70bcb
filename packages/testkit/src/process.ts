import { spawn } from 'node:child_process';
import { waitFor } from './wait-for.js';

export interface SpawnOptions {
  args?: string[];
  /** The whole environment but PATH and HOME, which are passed on: a test's process sees no other setting of the machine. */
  env?: Record<string, string>;
  cwd?: string;
  /** Modules to load before the script (`--import`), e.g. of `redirectPreload`. */
  imports?: string[];
  /** Whose process it is, by number (user and group); the user's own unless told. Only root may tell. */
  user?: number | undefined;
  /** The Node to run it; the one that runs the test unless told. */
  node?: string | undefined;
}

/** A Node process under test. Made by spawnProcess; call `kill` and wait for `exited` when done. */
export interface SpawnedProcess {
  readonly pid: number;
  /** All it wrote so far, both streams. */
  output(): string;
  /** Resolves with the first match in its output; rejects with the output if it exits before or the time (ms, 30 000) is over. */
  ready(line: RegExp | string, timeout?: number): Promise<RegExpMatchArray>;
  /** SIGTERM unless told; nothing if it is gone. */
  kill(signal?: NodeJS.Signals): void;
  /** How it ended. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Ends the process when the test that started it is gone, even one that was killed. */
const END_WITH_PARENT = `const parent = process.ppid;
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 500).unref();`;

/** Starts a script (a built main.js) under the Node that runs the test. It is killed when this process exits. */
export function spawnProcess(script: string, options: SpawnOptions = {}): SpawnedProcess {
  const { PATH = '', HOME = '' } = process.env;
  const imports = [`data:text/javascript,${encodeURIComponent(END_WITH_PARENT)}`, ...(options.imports ?? [])];
  const { node = process.execPath, user } = options;
  const child = spawn(node, [...imports.flatMap((url) => ['--import', url]), script, ...(options.args ?? [])], {
    env: { PATH, HOME, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(user === undefined ? {} : { uid: user, gid: user }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let ended: { code: number | null; signal: NodeJS.Signals | null } | undefined;
  const collect = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    // `exit` and not `close`: a grandchild may keep the streams.
    child.once('exit', (code, signal) => {
      process.off('exit', killAtExit);
      ended = { code, signal };
      resolve(ended);
    });
  });
  exited.catch(() => undefined);

  const ready = async (line: RegExp | string, timeout = 30_000) => {
    const look = () => output.match(line) ?? (ended && 'ended');
    const found = await waitFor(look, { timeout, what: `${line} from ${script}` }).catch((cause: unknown) => {
      throw new Error(`${script} did not say ${line}; it said:\n${output}`, { cause });
    });
    if (found === 'ended') throw new Error(`${script} ended (${JSON.stringify(ended)}) without saying ${line}; it said:\n${output}`);
    return found as RegExpMatchArray;
  };
  return { pid: child.pid ?? 0, output: () => output, ready, kill: (signal = 'SIGTERM') => void child.kill(signal), exited };
}
