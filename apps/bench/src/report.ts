import { deliveryChannels } from './deliveries.js';
import type { Options } from './options.js';
import { type Protection, tellProtection } from './protection.js';
import { type Comparison, compare, compareDeliveries, type DeliveryPair, type Pair, table } from './results.js';
import { compareSockets, type SocketComparison, type SocketRound, socketTable } from './sockets/results.js';
import { type Storm, tellStorms } from './sockets/storm.js';
import { USERS } from './workload.js';

/** Everything that was measured; what was not is empty. */
export interface Measured {
  readonly pairs: readonly Pair[];
  readonly deliveries: readonly DeliveryPair[];
  readonly protection: Protection | undefined;
  readonly sockets: readonly SocketRound[];
  readonly storms: readonly Storm[];
}

/** Where it was measured. */
interface Place {
  readonly machine: { readonly cpu: string; readonly cores: number };
  readonly versions: Readonly<Record<string, string | undefined>>;
}

interface Report {
  readonly comparisons: readonly Comparison[];
  readonly socketComparisons: readonly SocketComparison[];
  /** For people. */
  readonly text: string;
}

/** Compares what was measured, and tells it with what one has to know to judge it. */
export function report(options: Options, place: Place, measured: Measured): Report {
  const { pairs, deliveries, protection, sockets, storms } = measured;
  const comparisons = [...(pairs.length > 0 ? compare(pairs) : []), ...(deliveries.length > 0 ? compareDeliveries(deliveries) : [])];
  const socketComparisons = compareSockets(sockets);
  const serverCpu = comparisons.find(({ metric }) => metric === 'CPU without client')?.carillon;
  const paragraphs = [
    tellPlace(place),
    pairs.length > 0 && tellPipeline(options, pairs.length),
    deliveries.length > 0 && tellDeliveries(options, deliveries),
    comparisons.length > 0 && table(comparisons),
    protection && tellProtection(protection, serverCpu),
    comparisons.length > 0 && 'All notifications arrived, each once.',
    sockets.length > 0 && tellSockets(options),
    sockets.length > 0 && socketTable(socketComparisons, options.rounds),
    storms.length > 0 && tellStormy(options, storms),
  ];
  return { comparisons, socketComparisons, text: `${paragraphs.filter((paragraph) => paragraph).join('\n\n')}\n` };
}

function tellPlace({ machine: { cpu, cores }, versions }: Place): string {
  const redis = versions.redis === undefined ? '' : `, Redis ${versions.redis}, append-only (everysec, no rewrites)`;
  return `${cores} x ${cpu}, Node ${versions.node}${redis}. Medians; a ratio is that of one round, and the median of these counts.`;
}

function tellPipeline({ plan }: Options, runs: number): string {
  return `A burst of ${plan.burst.count} by ${plan.burst.callers} callers to ${USERS} sockets, then ${plan.latency.perSecond}/s for ${plan.latency.seconds} s; ${runs} pair(s) of runs.
Redis counts a command called inside of a script, too. CPU is that of the burst. Yardstick: BullMQ as its quick start shows it, with one render
and one in-app job per notification, then HSET, ZADD, INCR, PUBLISH; no validation, status or sealing. Tuned: the same by somebody who knows
BullMQ: concurrency 50, done jobs removed, one round trip.`;
}

function tellDeliveries(options: Options, pairs: readonly DeliveryPair[]): string {
  const concurrencies = deliveryChannels
    .map((channel) => `${channel} ${pairs.find(({ carillon }) => carillon.channel === channel)?.carillon.concurrency}`)
    .join(', ');
  return `${options.deliveries} mails and as many pushes that wait in the queue, to providers that take 20 ms. Yardstick: one BullMQ job per message, the provider's
SDK, as many jobs at once (${concurrencies}); no look at preferences and suppressions, no claim, no record. Sessions: TLS connections that brought any.`;
}

function tellSockets({ rounds, socketPlan: { seconds, paced } }: Options): string {
  return `Publish to socket: messages to as many users as there are sockets, in turn, as fast as they are delivered for ${seconds} s (at most 5,000 on their way,
100 in one round trip, 8 of these at once); latency at ${paced.perSecond}/s, one by one; ${rounds} round(s). Publisher, Redis, server and clients (raw sockets, the
same program for all) share the machine, so the rate is bound by the CPU of all four. Carillon is sealed, stored, counted, numbered, logged
for resuming and audited before it is announced, and opened and checked for gaps before it is sent, with the new count in a frame of its own;
its queue and delivery records are not part of this, but of the pipeline above;
the others hand on JSON of 250 bytes and keep nothing. Plain ws: one Redis channel per user. Stored: an HSET of the message besides.
Socket.IO: websocket only, a room per user, sharded Redis adapter, emitted by a second node. All check the same JWT once per socket. Memory is the
server's after garbage collections, without the kernel's part, for each socket beyond the first tenth: what a process takes for itself is no socket's. All servers: --max-semi-space-size=8.`;
}

function tellStormy({ clients }: Options, storms: readonly Storm[]): string {
  return `Storm: ${clients} clients whose server is killed (SIGKILL) and started again while one message is published to each; they come back with full jitter,
our gateway taking 1,000 handshakes a second and answering 503 to the rest.
${tellStorms(storms)}`;
}
