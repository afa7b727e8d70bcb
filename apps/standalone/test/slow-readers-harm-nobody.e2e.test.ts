import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { FoldingClient, startRedis, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { allHere, expectEqual, gather, listedByHttp, settle, startWorld } from './chaos.js';
import { count } from './counts.js';
import { endings, greet, tokenFor } from './system.js';

const later = endings();
const CLIENTS = count(100, 1000);
const SLOW = count(5, 50);
/** Notifications a second to the others, while latencies are measured. */
const PER_SECOND = count(20, 50);
/** Milliseconds each measurement takes; the second one until all slow readers are cut, which is 10 s after their sockets are full. */
const MEASURE = count(4000, 20_000);
/** Milliseconds in which sockets that take nothing have to be closed: ten, the gateway's look once a second, and a busy machine. */
const CUT_WITHIN = 20_000;
const MiB = 1024 * 1024;
/** What a gateway may hold for a socket that takes nothing: a MiB and the frame that is too much. */
const PER_SLOW_SOCKET = 1.1 * MiB;
/** What else it may grow by while it serves: heap that is not collected yet. */
const GROWTH = 100 * MiB;
/** How much slower the slowest hundredth may get for the others. Judged in soak only: others work on the machine of every other run. */
const SLOWER = 2;
/** Milliseconds that nobody notices, however much more they are. */
const UNNOTICED = 100;
/** Characters of a notification for slow readers: a few hundred fill what a system holds for a socket, which is some MiB. */
const LONG = 16_000;
/** Notifications of a flood, one after the other batch; the log of a user holds 500. */
const BATCH = 4;
const FLOOD_MAX = 480;

const p99 = (list: readonly number[]) => list.toSorted((a, b) => a - b)[Math.ceil(list.length * 0.99) - 1] as number;

/** Bytes on their way to or from a port that the system holds for those who do not take them (`proc_net_tcp` in the documentation of Linux). */
function untaken(port: number): number {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/net/${name}`, 'utf8').split('\n').slice(1));
  const own = rows.map((row) => row.trim().split(/\s+/)).filter(([, local, remote]) => local?.endsWith(end) || remote?.endsWith(end));
  const held = own.flatMap(([, , , , queues = '0:0']) => queues.split(':'));
  return held.reduce((sum, bytes) => sum + Number.parseInt(bytes, 16), 0);
}

test('who reads nothing is cut and comes back by resume; the others do not notice, and memory is bounded', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const { stores, http, gateway } = await startWorld(redis, later);
  await stores.templates.register({ id: 'long', title: 'Long', body: `{{name}} ${'x'.repeat(LONG)}`, channels: ['in_app'] });
  const users = Array.from({ length: CLIENTS }, (_, i) => `user|${i}`);
  const clients = await gather(users, gateway.url, later);
  const slow = Array.from({ length: SLOW }, () => new FoldingClient({ url: () => gateway.url, token: () => tokenFor('slow') }));
  later(() => Promise.all(slow.map((client) => client.stop())));
  await allHere(slow);

  const sentAt = new Map<string, number>();
  const latencies = new Map<string, number>();
  for (const client of clients.values()) {
    client.onFrame((frame) => {
      if (frame.type === 'notification' && frame.event === 'new') {
        const name = String(frame.data.data.name);
        latencies.set(name, performance.now() - (sentAt.get(name) as number));
      }
    });
  }
  /** The slowest hundredth, ms, of what was sent since a time. */
  const p99Since = (time: number) => {
    const since = [...latencies].flatMap(([name, ms]) => ((sentAt.get(name) as number) >= time ? [ms] : []));
    return Math.round(p99(since));
  };
  /** The same of what is sent to the others until `isOver`. */
  const measure = async (isOver: (since: number) => boolean) => {
    const begun = performance.now();
    const from = sentAt.size;
    while (!isOver(begun)) {
      const name = `${sentAt.size}`;
      sentAt.set(name, performance.now());
      await stores.producer.queueNotification(greet(users[sentAt.size % CLIENTS] as string, name));
      await sleep(Math.max(0, begun + ((sentAt.size - from) * 1000) / PER_SECOND - performance.now()));
    }
    await waitFor(() => latencies.size === sentAt.size, { what: 'the others to hear all' });
    return p99Since(begun);
  };
  const isTimeOver = (since: number) => performance.now() - since > MEASURE;
  // The first seconds of a process are none to measure.
  await measure(isTimeOver);
  const before = { p99: await measure(isTimeOver), memory: gateway.memory() };

  for (const client of slow) client.pause();
  const port = Number(new URL(gateway.url).port);
  /** Sends until the system takes no more for them. */
  const flood = async () => {
    let held = 0;
    // Once may be by chance.
    for (let [sent, full] = [0, 0]; full < 2; sent += BATCH) {
      expect(sent).toBeLessThan(FLOOD_MAX);
      await Promise.all(Array.from({ length: BATCH }, () => stores.producer.queueNotification(greet('slow', 'x', { templateId: 'long' }))));
      await waitFor(async () => (await stores.inbox.head('slow')).offset === sent + BATCH, { what: 'the flood' });
      await sleep(100);
      const now = untaken(port);
      full = now > held + LONG ? 0 : full + 1;
      held = Math.max(held, now);
    }
    return performance.now();
  };
  let cutAt = 0;
  let highest = 0;
  const watch = setInterval(async () => {
    highest = Math.max(highest, gateway.memory());
    const closes = await gateway.closes();
    // Pings wait behind what is not taken, so that a pong may be missed before the ten seconds are over.
    if ((closes.get(3008) ?? 0) + (closes.get(3012) ?? 0) >= SLOW) cutAt ||= performance.now();
  }, 200);
  later(() => clearInterval(watch));
  const [during, fullAt] = await Promise.all([measure((since) => cutAt > 0 || performance.now() - since > 2 * CUT_WITHIN), flood()]);
  expect(cutAt).toBeGreaterThan(0);
  expect(cutAt - fullAt).toBeLessThan(CUT_WITHIN);
  expect((await gateway.closes()).get(3008)).toBeGreaterThan(0);
  expect(highest - before.memory).toBeLessThan(GROWTH + SLOW * PER_SLOW_SOCKET);

  for (const client of slow) client.resume();
  await waitFor(() => slow.every(({ visits }) => visits === 2), { timeout: 30_000, what: 'the slow ones to come back' });
  await settle(
    slow.map((client) => ['slow', client] as const),
    stores,
  );
  const { length } = (await listedByHttp(http, 'slow')).data;
  // Systems hold more for one socket than for another: who missed more than half a MiB is shown a snapshot instead.
  await waitFor(() => slow.every(({ notifications }) => notifications.size === length), { what: 'the rest of snapshots' });
  for (const client of slow) await expectEqual('slow', client, http, stores);
  const resumed = slow.filter(({ snapshots }) => snapshots === 0).length;
  for (const [user, client] of clients) {
    await expectEqual(user, client, http, stores);
    expect(client.visits).toBe(1);
  }
  const [was, most] = [before.memory, highest].map((bytes) => Math.round(bytes / MiB));
  console.info(
    `${SLOW} slow readers of ${CLIENTS + SLOW}, ${resumed} resumed without a snapshot: cut ${Math.round(cutAt - fullAt)} ms after they were full; p99 of the others ${before.p99} ms before, ` +
      `${during} ms meanwhile, of that ${p99Since(fullAt)} ms once they were full; memory of the gateway ${was} MiB before, ${most} MiB at most`,
  );
  if (process.env.CARILLON_SOAK) expect(p99Since(fullAt)).toBeLessThanOrEqual(Math.max(SLOWER * before.p99, UNNOTICED));
});
