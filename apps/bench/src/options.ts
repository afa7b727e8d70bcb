import { parseArgs } from 'node:util';
import type { Plan } from './run.js';

export interface Options {
  readonly plan: Plan;
  readonly pairs: number;
  /** Messages sent by each channel that has a provider. */
  readonly deliveries: number;
  readonly profiles: string | undefined;
  readonly help: boolean;
}

export const usage = `usage: pnpm bench [--quick] [--runs <pairs>] [--count <notifications>] [--callers <n>] [--seconds <s>] [--deliveries <n>] [--profiles <folder>]

  --quick      a small run that proves the bench works; its figures mean little
  --runs       pairs of runs, Carillon and yardstick in turn (3)
  --count      notifications of a burst (20000)
  --callers    concurrent callers of a burst (500)
  --seconds    seconds of steady load measured (10)
  --deliveries messages sent by each of email and push (5000)
  --profiles   writes a CPU profile of each process into this folder, slower`;

/** Notifications per second of the steady load. */
const PER_SECOND = 500;

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
      profiles: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const number = (name: 'runs' | 'count' | 'callers' | 'seconds' | 'deliveries', otherwise: number) => {
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
    deliveries: number('deliveries', quick ? 500 : 5_000),
    profiles,
    help,
  };
}
