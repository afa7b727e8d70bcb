import { parseArgs } from 'node:util';
import type { Plan } from './run.js';
import type { SocketPlan } from './sockets/run.js';

/** What can be measured by itself. */
export const parts = ['pipeline', 'deliveries', 'protection', 'sockets', 'storm'] as const;
export type Part = (typeof parts)[number];

export interface Options {
  readonly parts: ReadonlySet<Part>;
  readonly plan: Plan;
  /** Numbers of sockets that are measured one after the other. */
  readonly sockets: readonly number[];
  readonly socketPlan: SocketPlan;
  /** Clients of the storm. */
  readonly clients: number;
  readonly pairs: number;
  /** Times servers with sockets are measured; the storm once. */
  readonly rounds: number;
  /** Messages sent by each channel that has a provider. */
  readonly deliveries: number;
  readonly profiles: string | undefined;
  readonly help: boolean;
}

export const usage = `usage: pnpm bench [--quick] [--only <parts>] [--runs <n>] [--count <notifications>] [--callers <n>] [--seconds <s>] [--deliveries <n>]
                  [--sockets <numbers>] [--clients <n>] [--profiles <folder>]

  --quick      a small run that proves the bench works; its figures mean little
  --only       of ${parts.join(', ')}, comma-separated (all)
  --runs       times each side is measured, in turn (3; with sockets 2)
  --count      notifications of a burst (20000)
  --callers    concurrent callers of a burst (500)
  --seconds    seconds of steady load measured (10)
  --deliveries messages sent by each of email and push (5000)
  --sockets    sockets, comma-separated, published to as fast as they take it (1000,10000)
  --clients    clients whose server is killed (5000)
  --profiles   writes a CPU profile of each process into this folder, slower`;

/** Notifications per second of the steady load. */
const PER_SECOND = 500;

/** Messages per second of the steady load to sockets: a twentieth of what the plain yardstick takes. */
const SOCKET_MESSAGES_PER_SECOND = 1_000;
const SOCKETS_MAX = 20_000;

/** Reads the command line. @throws Error on an unknown or unreadable option */
export function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      runs: { type: 'string' },
      count: { type: 'string' },
      callers: { type: 'string' },
      seconds: { type: 'string' },
      deliveries: { type: 'string' },
      only: { type: 'string' },
      sockets: { type: 'string' },
      clients: { type: 'string' },
      profiles: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const number = (name: 'runs' | 'count' | 'callers' | 'seconds' | 'deliveries' | 'clients', otherwise: number) => {
    const value = Number(values[name] ?? otherwise);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number from 1`);
    return value;
  };
  const { quick, help, profiles } = values;
  return {
    plan: {
      burst: { count: number('count', quick ? 2_000 : 20_000), callers: number('callers', 500) },
      latency: { perSecond: PER_SECOND, warmUpSeconds: quick ? 1 : 2, seconds: number('seconds', quick ? 2 : 10) },
    },
    pairs: number('runs', quick ? 1 : 3),
    rounds: number('runs', quick ? 1 : 2),
    deliveries: number('deliveries', quick ? 500 : 5_000),
    parts: readParts(values.only),
    sockets: readSockets(values.sockets ?? (quick ? '200' : '1000,10000')),
    socketPlan: {
      seconds: quick ? 0.5 : 2,
      warmUpSeconds: 0.5,
      paced: { perSecond: SOCKET_MESSAGES_PER_SECOND, seconds: 2 },
    },
    clients: number('clients', quick ? 200 : 5_000),
    profiles,
    help,
  };
}

function readParts(only: string | undefined): ReadonlySet<Part> {
  if (only === undefined) return new Set(parts);
  const isPart = (name: string): name is Part => parts.some((part) => part === name);
  const named = only.split(',');
  if (!named.every(isPart)) throw new Error(`--only must be of ${parts.join(', ')}, comma-separated`);
  return new Set(named);
}

function readSockets(text: string): number[] {
  const numbers = text.split(',').map(Number);
  if (numbers.every((count) => Number.isInteger(count) && count >= 1 && count <= SOCKETS_MAX)) return numbers;
  throw new Error(`--sockets must be whole numbers from 1 to ${SOCKETS_MAX}, comma-separated`);
}
