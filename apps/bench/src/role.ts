import { setTimeout as sleep } from 'node:timers/promises';

/** What the orchestrator asks a role, and what comes back. */
export interface Ask {
  readonly id: number;
  readonly ask: string;
  readonly argument: unknown;
}
export type Answer =
  | { readonly ready: true }
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: string };

/** CPU seconds a process has used, and bytes it holds. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
}

/** Bytes a process holds once its garbage is collected: of the machine, and in JavaScript's objects and buffers. */
export interface Memory {
  readonly residentBytes: number;
  readonly heapBytes: number;
}

type Asks = Readonly<Record<string, (argument: never) => unknown>>;

/**
 * The child's half of a role that the orchestrator forked: says that it is ready, answers what it is asked, and ends with its parent or
 * at SIGTERM.
 */
export function serveRole(asks: Asks = {}): void {
  answerAsks(asks);
  process.once('disconnect', () => process.exit(0));
  process.once('SIGTERM', () => process.exit(0));
  send({ ready: true });
}

/** Answers what the orchestrator asks. `usage` and `memory` are answered by every process. */
export function answerAsks(asks: Asks = {}): void {
  const all: Asks = { ...asks, usage, memory };
  process.on('message', async ({ id, ask, argument }: Ask) => {
    try {
      send({ id, answer: await all[ask]?.(argument as never) });
    } catch (error) {
      send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
}

function send(answer: Answer): void {
  process.send?.(answer);
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, memoryBytes: process.memoryUsage.rss() };
}

/** Collections before memory is read: what one finalises, the next can free. */
const COLLECTIONS = 4;
/** Milliseconds between them, for the pages of freed spaces to go back to the system. */
const COLLECTION_PAUSE = 50;

/** @throws Error where the process was started without --expose-gc */
async function memory(): Promise<Memory> {
  if (!globalThis.gc) throw new Error('memory is told by processes with --expose-gc only');
  for (let i = 0; i < COLLECTIONS; i++) {
    globalThis.gc();
    await sleep(COLLECTION_PAUSE);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { residentBytes: rss, heapBytes: heapUsed + external };
}

/** Microseconds on the clock that all processes of a machine share (CLOCK_MONOTONIC). */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e3;
}

/** An argument the orchestrator gave to a role's main. */
export function argument(name: string): string {
  const value = JSON.parse(process.argv[2] ?? '{}')[name];
  if (typeof value !== 'string') throw new Error(`role started without ${name}`);
  return value;
}
