import { type DeliveryChannel, type DeliveryRun, type DeliverySide, deliveryChannels } from './deliveries.js';
import type { Run } from './run.js';
import { median, readable } from './stats.js';
import { roles, type Side } from './system.js';
import { columns } from './table.js';

/** All sides, one right after the other. */
export type Pair = Readonly<Record<Side, Run>>;

/** Both sides delivering by one channel, one right after the other. */
export type DeliveryPair = Readonly<Record<DeliverySide, DeliveryRun>>;

/** What a ratio (ours by the yardstick's) is to be. */
interface Aim {
  readonly is: 'at least' | 'at most';
  readonly ratio: number;
}

interface Metric<R> {
  readonly name: string;
  readonly unit: string;
  readonly read: (run: R) => number;
  readonly aim?: Aim;
}

const metrics: readonly Metric<Run>[] = [
  { name: 'burst throughput', unit: 'notifications/s', read: (run) => run.burst.perSecond, aim: { is: 'at least', ratio: 4 } },
  {
    name: 'Redis commands',
    unit: 'per notification',
    read: (run) => run.burst.cost.redisCommands,
    aim: { is: 'at most', ratio: 1 / 3 },
  },
  { name: 'latency p50', unit: 'ms', read: (run) => run.latency.p50, aim: { is: 'at most', ratio: 1.5 } },
  { name: 'latency p99', unit: 'ms', read: (run) => run.latency.p99, aim: { is: 'at most', ratio: 2 } },
  { name: 'queueing', unit: 'calls/s', read: (run) => run.burst.queuedPerSecond },
  { name: 'Redis CPU', unit: 'µs/notification', read: (run) => run.burst.cost.redisCpuMicroseconds },
  { name: 'Redis memory', unit: 'bytes/notification', read: (run) => run.burst.cost.redisBytes },
  { name: 'Redis file', unit: 'bytes/notification', read: (run) => run.burst.cost.redisFileBytes },
  ...roles.map((role) => ({
    name: `${role} CPU`,
    unit: 'µs/notification',
    read: (run: Run) => run.burst.cost.cpuMicroseconds[role],
  })),
  { name: 'CPU without client', unit: 'µs/notification', read: (run) => run.burst.cost.serverCpuMicroseconds },
];

const deliveryMetrics: Readonly<Record<DeliveryChannel, readonly Metric<DeliveryRun>[]>> = {
  email: [{ name: 'email deliveries', unit: 'mails/s', read: (run) => run.perSecond, aim: { is: 'at least', ratio: 1 } }],
  push: [
    { name: 'push deliveries', unit: 'pushes/s', read: (run) => run.perSecond, aim: { is: 'at least', ratio: 1 } },
    { name: 'push sessions', unit: 'per 1,000 pushes', read: (run) => run.connectionsPerThousand },
  ],
};

/** A metric over all pairs: medians, and the ratio of each pair. */
export interface Comparison {
  readonly metric: string;
  readonly unit: string;
  readonly carillon: number;
  readonly yardstick: number;
  /** The tuned yardstick, and our ratio to it: no aim, but what it takes to be honest. Null where there is none. */
  readonly tuned: number | null;
  readonly ratioToTuned: number | null;
  /** Median of `ratios`. */
  readonly ratio: number;
  readonly ratios: readonly number[];
  readonly aim: Aim | null;
  readonly met: boolean | null;
}

/** Compares what was measured. A ratio is that of two runs of one pair; the median of these counts. */
export function compare(pairs: readonly Pair[]): Comparison[] {
  return metrics.map((metric) => comparison(metric, pairs));
}

/** The same of deliveries by each channel. */
export function compareDeliveries(pairs: readonly DeliveryPair[]): Comparison[] {
  return deliveryChannels.flatMap((channel) => {
    const mine = pairs.filter(({ carillon }) => carillon.channel === channel);
    return deliveryMetrics[channel].map((metric) => comparison(metric, mine));
  });
}

function comparison<R>(
  { name, unit, read, aim }: Metric<R>,
  pairs: readonly { readonly carillon: R; readonly yardstick: R; readonly tuned?: R }[],
): Comparison {
  const ratios = pairs.map(({ carillon, yardstick }) => read(carillon) / read(yardstick));
  const ratio = median(ratios);
  const tuned = pairs.flatMap((pair) => (pair.tuned === undefined ? [] : [{ ours: read(pair.carillon), theirs: read(pair.tuned) }]));
  return {
    metric: name,
    unit,
    carillon: median(pairs.map(({ carillon }) => read(carillon))),
    yardstick: median(pairs.map(({ yardstick }) => read(yardstick))),
    tuned: tuned.length === 0 ? null : median(tuned.map(({ theirs }) => theirs)),
    ratioToTuned: tuned.length === 0 ? null : median(tuned.map(({ ours, theirs }) => ours / theirs)),
    ratio,
    ratios,
    aim: aim ?? null,
    met: aim ? (aim.is === 'at least' ? ratio >= aim.ratio : ratio <= aim.ratio) : null,
  };
}

/** Comparisons as a table for people. */
export function table(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ metric, unit, carillon, yardstick, tuned, ratioToTuned, ratio, ratios, aim, met }) => [
    `${metric}, ${unit}`,
    readable(carillon),
    readable(yardstick),
    `${readable(ratio)} x`,
    aim ? `${aim.is} ${readable(aim.ratio)} x` : '',
    met === null ? '' : met ? 'met' : 'NOT MET',
    ratios.length > 1 ? ratios.map(readable).join('  ') : '',
    tuned === null ? '' : readable(tuned),
    ratioToTuned === null ? '' : `${readable(ratioToTuned)} x`,
  ]);
  const texts = ['', 'Carillon', 'yardstick', 'ratio', 'aim', '', 'ratio of each pair', 'tuned', 'ratio'];
  // Aims, whether they are met, and lists are words.
  return columns(
    texts.map((text, index) => ({ text, left: index === 0 || (index > 3 && index < 7) })),
    rows,
  );
}
