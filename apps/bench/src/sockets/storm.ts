import { setTimeout as sleep } from 'node:timers/promises';
import type { AskableProcess } from '../process.js';
import { now } from '../role.js';
import type { StormReport, WelcomedAt } from '../roles/storm-client.js';
import { quantile } from '../stats.js';
import type { RunOptions } from './run.js';
import { openSocketSystem, type SocketSystem } from './system.js';

/** Who is stormed: our gateway, with its limits as they are by default; and the plain yardstick, which has none and nothing to resume. */
export const stormSides = ['carillon', 'plain'] as const;
export type StormSide = (typeof stormSides)[number];

/** A server killed under all its clients, and started again. */
export interface Storm extends StormReport {
  readonly side: StormSide;
  readonly clients: number;
  /** Seconds from the kill to a server that is ready again; and from then until all clients were back and had all they missed. */
  readonly downSeconds: number;
  readonly backSeconds: number;
  /** The same until half, and until 99 of 100, were connected again. */
  readonly halfBackSeconds: number;
  readonly mostBackSeconds: number;
  /** CPU seconds of the new process in that time, its start included. */
  readonly serverCpuSeconds: number;
  /** Messages published while the server was down, one to each client, that no client ever got. */
  readonly missed: number;
}

/** Milliseconds all clients have to be there, before and after. */
const PATIENCE = 60_000;
/** Milliseconds between two looks. */
const POLL = 50;
/** Milliseconds between two lines of progress. */
const PROGRESS = 1_000;

/** @throws Error when a client does not come back, misses or repeats a message where it should not, or a process dies */
export async function runStorm(side: StormSide, clients: number, options: RunOptions): Promise<Storm> {
  const system = await openSocketSystem(side, { users: clients, limited: true, profiles: options.profiles });
  try {
    const storm = await Promise.race([measure(system, side, options.say), system.crashed, options.interrupted]);
    if (side === 'carillon') checkStorm(storm);
    return storm;
  } finally {
    await system.close();
  }
}

async function measure(system: SocketSystem, side: StormSide, say: (line: string) => void): Promise<Storm> {
  const clients = system.tokens.length;
  const resumes = side === 'carillon';
  const client = await system.start('storm-client', { resumes: String(resumes) });
  const publisher = system.publishers.get(side) as AskableProcess;
  const allBack = (offset: number) => back(client, offset, clients, (line) => say(`${side.padEnd(9)} storm: ${line}`));
  await client.ask('start', system.tokens);
  await allBack(0);
  await publisher.ask('round');
  await allBack(1);
  // Where there are no offsets, only the number of messages tells that none of these is still on its way.
  while ((await client.ask<StormReport>('report')).messages < clients) await sleep(POLL);

  await client.ask('watch');
  const killedAt = now();
  await system.server.kill();
  await publisher.ask('round');
  const server = await system.restart();
  const readyAt = now();
  await allBack(2);
  const backAt = now();
  const { cpuSeconds } = await server.usage();
  const report = await client.ask<StormReport>('report');
  const welcomedAt = await client.ask<WelcomedAt>('welcomedAt');
  const after = (share: number) => (quantile(welcomedAt, share) - readyAt) / 1e6;
  const times = {
    downSeconds: (readyAt - killedAt) / 1e6,
    backSeconds: (backAt - readyAt) / 1e6,
    halfBackSeconds: after(0.5),
    mostBackSeconds: after(0.99),
    serverCpuSeconds: cpuSeconds,
  };
  return { side, clients, ...times, ...report, missed: clients - report.messages + report.repeated };
}

/** Waits until all clients are back, and says every second how many are. */
async function back(client: AskableProcess, offset: number, clients: number, say: (line: string) => void): Promise<void> {
  const ended = new AbortController();
  const tell = async (): Promise<never> => {
    for (const since = now(); ; ) {
      await sleep(PROGRESS, undefined, { signal: ended.signal });
      const count = await client.ask<number>('count', offset);
      say(`${count} of ${clients} clients are there`);
      if ((now() - since) / 1000 > PATIENCE) throw new Error(`${clients - count} of ${clients} clients did not come back`);
    }
  };
  const telling = tell();
  telling.catch(() => undefined);
  await Promise.race([client.ask('back', offset), telling]).finally(() => ended.abort());
}

/** @throws Error unless every client resumed and got each message once and in order */
export function checkStorm({ clients, recovered, unrecovered, gaps, repeated, missed }: Storm): void {
  if (recovered >= clients && unrecovered + gaps + repeated + missed === 0) return;
  const wrong = `${unrecovered} could not resume, ${missed} messages were missed, ${repeated} came again, ${gaps} came out of order`;
  throw new Error(`of ${clients} clients ${recovered} resumed, ${wrong}`);
}

/** Storms in words. */
export function tellStorms(storms: readonly Storm[]): string {
  return storms.map(tellStorm).join('\n');
}

function tellStorm(storm: Storm): string {
  const { side, clients, refused, unreachable, recovered, missed } = storm;
  const [down, half, most, all, cpu] = [
    storm.downSeconds,
    storm.halfBackSeconds,
    storm.mostBackSeconds,
    storm.backSeconds,
    storm.serverCpuSeconds,
  ].map((seconds) => `${seconds.toFixed(1)} s`);
  const times = `down for ${down}, half of them back ${half} later, 99 % ${most}, all ${all}; ${cpu} of CPU`;
  const tries = `${refused} handshakes refused, ${unreachable} connections in vain`;
  const resumed =
    side === 'carillon' ? `${recovered} resumed, none in part, 0 missed` : `nothing to resume, ${missed} of ${clients} messages missed`;
  return `${side === 'carillon' ? 'Carillon' : 'Plain ws'}: ${times}; ${tries}; ${resumed}.`;
}
