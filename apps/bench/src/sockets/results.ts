import { median, readable } from '../stats.js';
import { type Column, columns } from '../table.js';
import type { SocketRun } from './run.js';
import { type SocketSide, socketSides } from './system.js';

/** All sides with as many sockets, one right after the other. */
export type SocketRound = Readonly<Record<SocketSide, SocketRun>>;

export const peers = ['socket.io', 'plain', 'stored'] as const satisfies readonly SocketSide[];
export type Peer = (typeof peers)[number];

/** What our figure is to be. */
interface Aim {
  readonly is: 'at least' | 'at most';
  readonly value: number;
}

interface SocketMetric {
  readonly name: string;
  readonly unit: string;
  readonly read: (run: SocketRun) => number;
  /** Of our own figure. */
  readonly aim?: Aim;
  /** Of its ratio to a peer's. */
  readonly aims?: { readonly [P in Peer]?: Aim };
}

const perDelivery = (name: keyof SocketRun['cost']) => (run: SocketRun) => run.cost[name];
const KIB = 1024;
const cpuUnit = 'µs/delivery';

const metrics: readonly SocketMetric[] = [
  {
    name: 'publish to socket',
    unit: 'delivered/s',
    read: (run) => run.deliveredPerSecond,
    aims: { 'socket.io': { is: 'at least', value: 2 }, plain: { is: 'at least', value: 1 } },
  },
  { name: 'idle socket', unit: 'KiB RSS', read: (run) => run.memory.residentBytes / KIB, aim: { is: 'at most', value: 12 } },
  { name: 'idle socket', unit: 'KiB heap', read: (run) => run.memory.heapBytes / KIB },
  { name: 'latency p50', unit: 'ms', read: (run) => run.latency.p50 },
  { name: 'latency p99', unit: 'ms', read: (run) => run.latency.p99 },
  { name: 'server CPU', unit: cpuUnit, read: perDelivery('server') },
  { name: 'publisher CPU', unit: cpuUnit, read: perDelivery('publisher') },
  { name: 'Redis CPU', unit: cpuUnit, read: perDelivery('redis') },
  { name: 'client CPU', unit: cpuUnit, read: perDelivery('client') },
  { name: 'frames', unit: 'bytes/delivery', read: (run) => run.bytesPerDelivery },
  { name: 'connecting', unit: 'sockets/s', read: (run) => run.connectedPerSecond },
  { name: 'connecting', unit: 'µs server CPU', read: (run) => run.connectCost },
];

/** A figure over all rounds. */
interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A metric with so many sockets over all rounds. A ratio is that of two runs of one round; `ratio` is over these. */
export interface SocketComparison {
  readonly metric: string;
  readonly unit: string;
  readonly sockets: number;
  readonly carillon: Spread;
  readonly aim: Aim | null;
  readonly met: boolean | null;
  readonly peers: Readonly<
    Record<Peer, { readonly value: Spread; readonly ratio: Spread; readonly aim: Aim | null; readonly met: boolean | null }>
  >;
}

/** Compares what was measured, by number of sockets. */
export function compareSockets(rounds: readonly SocketRound[]): SocketComparison[] {
  const sizes = [...new Set(rounds.map(({ carillon }) => carillon.sockets))];
  return sizes.flatMap((sockets) => {
    const mine = rounds.filter(({ carillon }) => carillon.sockets === sockets);
    return metrics.map((metric) => comparison(metric, sockets, mine));
  });
}

function comparison({ name, unit, read, aim, aims }: SocketMetric, sockets: number, rounds: readonly SocketRound[]): SocketComparison {
  const carillon = spread(rounds.map((round) => read(round.carillon)));
  const compared = peers.map((peer) => {
    const ratio = spread(rounds.map((round) => read(round.carillon) / read(round[peer])));
    const value = spread(rounds.map((round) => read(round[peer])));
    return [peer, { value, ratio, ...judged(ratio.median, aims?.[peer]) }] as const;
  });
  return {
    metric: name,
    unit,
    sockets,
    carillon,
    ...judged(carillon.median, aim),
    peers: Object.fromEntries(compared) as SocketComparison['peers'],
  };
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

function judged(value: number, aim: Aim | undefined): { readonly aim: Aim | null; readonly met: boolean | null } {
  if (!aim) return { aim: null, met: null };
  return { aim, met: aim.is === 'at least' ? value >= aim.value : value <= aim.value };
}

const names: Readonly<Record<SocketSide, string>> = {
  carillon: 'Carillon',
  'socket.io': 'Socket.IO',
  plain: 'plain ws',
  stored: 'ws, stored',
};

/** Comparisons as a table for people: ratios are ours by theirs, with the least and the greatest of all rounds where there are several. */
export function socketTable(comparisons: readonly SocketComparison[], rounds: number): string {
  const head: Column[] = [{ text: '', left: true }, { text: names.carillon }, { text: 'aim', left: true }];
  for (const peer of peers) head.push({ text: names[peer] }, { text: 'ratio' }, { text: 'aim', left: true });
  const rows = comparisons.map((one) => [
    `${one.metric}, ${one.unit}, ${one.sockets.toLocaleString('en')}`,
    readable(one.carillon.median),
    aimText(one, ''),
    ...peers.flatMap((peer) => {
      const { value, ratio } = one.peers[peer];
      const range = rounds > 1 ? ` (${readable(ratio.min)}-${readable(ratio.max)})` : '';
      return [readable(value.median), `${readable(ratio.median)} x${range}`, aimText(one.peers[peer], ' x')];
    }),
  ]);
  return columns(head, rows);
}

function aimText({ aim, met }: { readonly aim: Aim | null; readonly met: boolean | null }, unit: string): string {
  return aim ? `${aim.is} ${readable(aim.value)}${unit} ${met ? 'met' : 'NOT MET'}` : '';
}

/** One round, of the runs of all sides. */
export function roundOf(runs: readonly SocketRun[]): SocketRound {
  const bySide = new Map(runs.map((run) => [run.side, run]));
  const missing = socketSides.filter((side) => !bySide.has(side));
  if (missing.length > 0) throw new Error(`nothing was measured of ${missing.join(', ')}`);
  return Object.fromEntries(bySide) as unknown as SocketRound;
}
