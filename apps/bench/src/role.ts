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

type Asks = Readonly<Record<string, (argument: never) => unknown>>;

/**
 * The child's half of a role that the orchestrator forked: says that it is ready, answers what it is asked, and ends with its parent or
 * at SIGTERM. `usage` is answered by every role.
 */
export function serveRole(asks: Asks = {}): void {
  const all: Asks = { ...asks, usage };
  process.on('message', async ({ id, ask, argument }: Ask) => {
    try {
      send({ id, answer: await all[ask]?.(argument as never) });
    } catch (error) {
      send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
  process.once('disconnect', () => process.exit(0));
  process.once('SIGTERM', () => process.exit(0));
  send({ ready: true });
}

function send(answer: Answer): void {
  process.send?.(answer);
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, memoryBytes: process.memoryUsage.rss() };
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
