import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '@carillon/embedded';
import type { Answer, Ask, Memory, Usage } from './role.js';

/** A process of one side. Stop it when done. */
export interface RoleProcess {
  readonly name: string;
  usage(): Promise<Usage>;
  /** Rejects when the process ends before it was told to. */
  readonly crashed: Promise<never>;
  stop(): Promise<void>;
}

/** A process of our own that answers questions. */
export interface AskableProcess extends RoleProcess {
  ask<T>(question: string, argument?: unknown): Promise<T>;
}

/** A server whose memory is measured. */
export interface GaugedProcess extends RoleProcess {
  /** After a garbage collection. */
  memory(): Promise<Memory>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

/** Milliseconds a process has to come up, and to end. */
const START_TIMEOUT = 30_000;
const STOP_TIMEOUT = 15_000;
/** Milliseconds between two looks at whether an app is ready. */
const POLL = 50;
/** Characters of output kept, to be shown when a process fails. */
const OUTPUT_KEPT = 4_000;

/** The repository: apps/bench/dist lies three folders below. */
const root = new URL('../../../', import.meta.url);
const endWithParent = new URL('scripts/end-with-parent.mjs', root).href;

const gauge = new URL('roles/gauge.js', import.meta.url).href;
/** Node's arguments for servers whose memory is read: they can collect their garbage before it is, and a young generation half as large leaves less to chance. */
const GAUGED = ['--expose-gc', '--max-semi-space-size=8'];

/** Node's arguments that make a process write where its CPU time went, when it ends. */
const profiling = (name: string, folder: string | undefined) =>
  folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${name}.cpuprofile`];

const importing = (modules: readonly string[] = []) => modules.flatMap((module) => ['--import', module]);

/** Nothing but what is told: settings of whoever runs the bench must not reach one side. */
const environment = (more: Readonly<Record<string, string>> = {}) => ({
  PATH: process.env.PATH ?? '',
  HOME: process.env.HOME ?? '',
  ...more,
});

/** Starts a role of the bench itself and resolves when it is ready. */
export async function startRole(
  file: string,
  options: {
    name: string;
    argument: Record<string, string>;
    profiles: string | undefined;
    env?: Readonly<Record<string, string>>;
    imports?: readonly string[];
  },
): Promise<AskableProcess & GaugedProcess> {
  const child = fork(fileURLToPath(new URL(`./roles/${file}.js`, import.meta.url)), [JSON.stringify(options.argument)], {
    execArgv: [...GAUGED, ...profiling(file, options.profiles), ...importing(options.imports)],
    env: environment(options.env),
    serialization: 'advanced',
    silent: true,
  });
  const handle = watch(options.name, child);
  const { ask, ready } = askable(options.name, child);
  await startedInTime(handle, ready);
  return { ...handle, ask, usage: () => ask<Usage>('usage'), memory: () => ask<Memory>('memory') };
}

/** The orchestrator's half of the questions. */
function askable(name: string, child: ChildProcess): Pick<AskableProcess, 'ask'> & { readonly ready: Promise<void> } {
  const waiting = new Map<number, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>();
  let asked = 0;
  const ready = new Promise<void>((resolve) => {
    child.on('message', (answer: Answer) => {
      if ('ready' in answer) return resolve();
      const asker = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ('error' in answer) asker?.reject(new Error(`${name}: ${answer.error}`));
      else asker?.resolve(answer.answer);
    });
  });
  const ask = <T>(question: string, argument?: unknown): Promise<T> => {
    const answered = new Promise<unknown>((resolve, reject) => waiting.set(++asked, { resolve, reject }));
    child.send({ id: asked, ask: question, argument } satisfies Ask);
    return answered as Promise<T>;
  };
  return { ask, ready };
}

/** Starts the main of one of Carillon's apps as users do, and resolves when it says that it is ready. */
export async function startApp(
  app: string,
  env: Readonly<Record<string, string>>,
  profiles: string | undefined,
  imports: readonly string[] = [],
): Promise<RoleProcess> {
  const { handle, get } = await spawnApp(app, env, [...profiling(app, profiles), ...importing([endWithParent, ...imports])]);
  return { ...handle, usage: async () => readMetrics(await (await get('/metrics')).text()) };
}

/** The same, for an app whose memory is measured. */
export async function startGaugedApp(
  app: string,
  env: Readonly<Record<string, string>>,
  profiles: string | undefined,
): Promise<GaugedProcess> {
  const node = [...GAUGED, ...profiling(app, profiles), ...importing([endWithParent, gauge])];
  const { handle, child } = await spawnApp(app, env, node);
  const { ask } = askable(app, child);
  return { ...handle, usage: () => ask<Usage>('usage'), memory: () => ask<Memory>('memory') };
}

async function spawnApp(app: string, env: Readonly<Record<string, string>>, node: readonly string[]) {
  const port = await freePort();
  const main = fileURLToPath(new URL(`apps/${app}/dist/main.js`, root));
  const child = spawn(process.execPath, [...node, main], {
    env: environment({ ...env, NOTIFICATION_ADMIN_PORT: String(port) }),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  const handle = watch(app, child);
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  const answers = async () => {
    while (!(await get('/readyz').catch(() => undefined))?.ok) await sleep(POLL);
  };
  await startedInTime(handle, answers());
  return { handle, child, get };
}

function readMetrics(text: string): Usage {
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
  return { cpuSeconds: value('process_cpu_seconds_total'), memoryBytes: value('process_resident_memory_bytes') };
}

function watch(name: string, child: ChildProcess): Pick<GaugedProcess, 'name' | 'crashed' | 'stop' | 'kill'> {
  let output = '';
  let stopping = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-OUTPUT_KEPT);
    });
  }
  const exited = once(child, 'exit');
  const crashed = exited.then(
    ([code, signal]) =>
      stopping ? new Promise<never>(() => {}) : Promise.reject(new Error(`${name} ended (${code ?? signal}):\n${output}`)),
    (error) => Promise.reject(new Error(`${name} did not start`, { cause: error })),
  );
  crashed.catch(() => undefined);
  return {
    name,
    crashed,
    async kill() {
      stopping = true;
      child.kill('SIGKILL');
      await exited.catch(() => undefined);
    },
    async stop() {
      stopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT);
      child.kill('SIGTERM');
      await exited.catch(() => undefined);
      clearTimeout(timer);
    },
  };
}

async function startedInTime(handle: Pick<RoleProcess, 'name' | 'crashed' | 'stop'>, ready: Promise<void>): Promise<void> {
  const late = sleep(START_TIMEOUT, undefined, { ref: false }).then(() => Promise.reject(new Error(`${handle.name} did not become ready`)));
  try {
    await Promise.race([ready, handle.crashed, late]);
  } catch (error) {
    await handle.stop();
    throw error;
  }
}
