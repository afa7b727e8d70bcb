import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, release, totalmem, type } from 'node:os';
import { join, resolve } from 'node:path';
import { redisBinary } from '@carillon/embedded';
import { SDK_VERSION } from 'firebase-admin/app';
import { type DeliverySide, deliveryChannels, runDeliveries } from './deliveries.js';
import { type Options, readOptions, usage } from './options.js';
import { measureProtection, type Protection } from './protection.js';
import { report } from './report.js';
import type { DeliveryPair, Pair } from './results.js';
import { runSide } from './run.js';
import { roundOf, type SocketRound } from './sockets/results.js';
import { runSockets, type SocketRun } from './sockets/run.js';
import { runStorm, type Storm, stormSides } from './sockets/storm.js';
import { servers } from './sockets/system.js';
import { type Side, sides } from './system.js';
import { USERS } from './workload.js';

/** Where everything measured is written, in the current folder. */
const FILE = 'bench-results.json';

const say = (line: string) => process.stderr.write(`${line}\n`);
const require = createRequire(import.meta.url);
const versionOf = (library: string): string => require(`${library}/package.json`).version;

/** Rejects at the first signal that asks for an end; what runs is then ended in order. */
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(`ended by ${signal}`)));
});
interrupted.catch(() => undefined);

async function measurePairs({ plan, pairs, profiles }: Options): Promise<Pair[]> {
  const measured: Pair[] = [];
  for (let index = 1; index <= pairs; index++) {
    const run = (side: Side) => {
      say(`pair ${index} of ${pairs}: ${side}`);
      return runSide(side, plan, { say, interrupted, profiles: profiles && join(resolve(profiles), `${side}-${index}`) });
    };
    const carillon = await run('carillon');
    const yardstick = await run('yardstick');
    measured.push({ carillon, yardstick, tuned: await run('tuned') });
  }
  return measured;
}

async function measureDeliveries({ pairs, deliveries, profiles }: Options): Promise<DeliveryPair[]> {
  const measured: DeliveryPair[] = [];
  for (const channel of deliveryChannels) {
    for (let index = 1; index <= pairs; index++) {
      const run = (side: DeliverySide) => {
        say(`pair ${index} of ${pairs}: ${side}, ${channel}`);
        const folder = profiles && join(resolve(profiles), `${side}-${channel}-${index}`);
        return runDeliveries(channel, side, deliveries, { say, interrupted, profiles: folder });
      };
      measured.push({ carillon: await run('carillon'), yardstick: await run('yardstick') });
    }
  }
  return measured;
}

/** All servers with as many sockets, then with more, and all of it again. */
async function measureSockets({ rounds: times, sockets, socketPlan, profiles }: Options): Promise<SocketRound[]> {
  const rounds: SocketRound[] = [];
  for (let index = 1; index <= times; index++) {
    for (const count of sockets) {
      const runs: SocketRun[] = [];
      for (const name of servers) {
        const folder = profiles && join(resolve(profiles), `${name}-${count}-sockets-${index}`);
        runs.push(...(await runSockets(name, count, socketPlan, { say, interrupted, profiles: folder })));
      }
      rounds.push(roundOf(runs));
    }
  }
  return rounds;
}

async function measureStorms({ clients, profiles }: Options): Promise<Storm[]> {
  const storms: Storm[] = [];
  for (const side of stormSides) {
    const folder = profiles && join(resolve(profiles), `${side}-storm`);
    storms.push(await runStorm(side, clients, { say, interrupted, profiles: folder }));
  }
  return storms;
}

function machine() {
  const [first] = cpus();
  return {
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    system: `${type()} ${release()} ${process.arch}`,
  };
}

function versionsUsed() {
  const libraries = ['bullmq', 'ioredis', 'mustache', 'ws', 'socket.io', '@socket.io/redis-adapter', '@sendgrid/mail'];
  return {
    node: process.version,
    ...Object.fromEntries(libraries.map((library) => [library, versionOf(library)])),
    // It exports no package.json.
    'firebase-admin': SDK_VERSION,
  };
}

async function bench(options: Options): Promise<void> {
  await redisBinary(say);
  const { parts, plan } = options;
  const pairs = parts.has('pipeline') ? await measurePairs(options) : [];
  const deliveries = parts.has('deliveries') ? await measureDeliveries(options) : [];
  let protection: Protection | undefined;
  if (parts.has('protection')) {
    say('protection');
    protection = await measureProtection();
  }
  const sockets = parts.has('sockets') ? await measureSockets(options) : [];
  const storms = parts.has('storm') ? await measureStorms(options) : [];

  const place = {
    machine: machine(),
    versions: { redis: pairs[0]?.carillon.redisVersion ?? sockets[0]?.carillon.redisVersion, ...versionsUsed() },
  };
  const measured = { pairs, deliveries, protection, sockets, storms };
  const { comparisons, socketComparisons, text } = report(options, place, measured);
  const plans = { users: USERS, plan, socketPlan: options.socketPlan };
  const results = { date: new Date().toISOString(), ...place, ...plans, comparisons, socketComparisons, sides, ...measured };
  writeFileSync(FILE, `${JSON.stringify(results, null, 2)}\n`);
  process.stdout.write(`\n${text}\nEverything measured is in ${FILE}.\n`);
}

let code = 0;
try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(`${usage}\n`);
  else await bench(options);
} catch (error) {
  say(error instanceof Error ? `bench: ${error.message}` : String(error));
  code = 1;
}
process.exit(code);
