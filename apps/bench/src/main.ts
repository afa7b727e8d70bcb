import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, release, totalmem, type } from 'node:os';
import { join, resolve } from 'node:path';
import { redisBinary } from '@carillon/embedded';
import { SDK_VERSION } from 'firebase-admin/app';
import { type DeliverySide, deliveryChannels, runDeliveries } from './deliveries.js';
import { type Options, readOptions, usage } from './options.js';
import { measureProtection, tellProtection } from './protection.js';
import { compare, compareDeliveries, type DeliveryPair, type Pair, table } from './results.js';
import { runSide } from './run.js';
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

const concurrencyOf = (pairs: readonly DeliveryPair[]) =>
  deliveryChannels
    .map((channel) => `${channel} ${pairs.find(({ carillon }) => carillon.channel === channel)?.carillon.concurrency}`)
    .join(', ');

function machine() {
  const [first] = cpus();
  return {
    cpu: first?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    system: `${type()} ${release()} ${process.arch}`,
  };
}

async function bench(options: Options): Promise<void> {
  await redisBinary(say);
  const pairs = await measurePairs(options);
  const deliveries = await measureDeliveries(options);
  say('protection');
  const protection = await measureProtection();
  const comparisons = [...compare(pairs), ...compareDeliveries(deliveries)];
  const versions = {
    node: process.version,
    redis: pairs[0]?.carillon.redisVersion,
    ...Object.fromEntries(['bullmq', 'ioredis', 'mustache', 'ws', '@sendgrid/mail'].map((library) => [library, versionOf(library)])),
    // It exports no package.json.
    'firebase-admin': SDK_VERSION,
  };
  const { plan } = options;
  const results = {
    date: new Date().toISOString(),
    machine: machine(),
    versions,
    users: USERS,
    plan,
    comparisons,
    protection,
    sides,
    pairs,
    deliveries,
  };
  writeFileSync(FILE, `${JSON.stringify(results, null, 2)}\n`);
  const { cpu, cores } = results.machine;
  process.stdout.write(`
A burst of ${plan.burst.count} by ${plan.burst.callers} callers to ${USERS} sockets, then ${plan.latency.perSecond}/s for ${plan.latency.seconds} s; ${pairs.length} pair(s) of runs.
${cores} x ${cpu}, Node ${versions.node}, Redis ${versions.redis}, append-only (everysec, no rewrites). Medians; a ratio is that of one pair, and the median of these counts.
Redis counts a command called inside of a script, too. CPU is that of the burst. Yardstick: BullMQ as its quick start shows it, with one render
and one in-app job per notification, then HSET, ZADD, INCR, PUBLISH; no validation, status or sealing. Tuned: the same by somebody who knows
BullMQ: concurrency 50, done jobs removed, one round trip.
Then ${options.deliveries} mails and as many pushes that wait in the queue, to providers that take 20 ms. Yardstick: one BullMQ job per message, the provider's
SDK, as many jobs at once (${concurrencyOf(deliveries)}); no look at preferences and suppressions, no claim, no record. Sessions: TLS connections that brought any.

${table(comparisons)}

${tellProtection(protection, comparisons.find(({ metric }) => metric === 'CPU without client')?.carillon ?? Number.NaN)}

All notifications arrived, each once. Everything measured is in ${FILE}.
`);
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
