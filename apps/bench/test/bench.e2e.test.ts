import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnProcess } from '@carillon/testkit';
import { afterAll, expect, test } from '@jest/globals';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

const cwd = mkdtempSync(join(tmpdir(), 'carillon-bench-test-'));
afterAll(() => rmSync(cwd, { recursive: true }));

const numbers = (names: string[]) => Object.fromEntries(names.map((name) => [name, expect.any(Number)]));
const cost = expect.objectContaining({
  ...numbers(['redisCommands', 'redisCpuMicroseconds', 'redisBytes', 'serverCpuMicroseconds']),
  cpuMicroseconds: numbers(['producer', 'renderer', 'in-app', 'gateway', 'client']),
});
const run = (side: string) => ({
  side,
  redisVersion: expect.any(String),
  burst: { ...numbers(['startedAt', 'seconds', 'perSecond', 'queuedPerSecond']), cost },
  latency: { samples: 1000, ...numbers(['startedAt', 'p50', 'p95', 'p99', 'max']), cost },
});

const delivery = (channel: string, side: string) => ({
  ...{ channel, side, count: 500 },
  ...numbers(['concurrency', 'perSecond', 'connectionsPerThousand']),
});

test('a quick run measures both sides, prints a table and writes everything as JSON', async () => {
  const bench = spawnProcess(main, { args: ['--quick', '--only', 'pipeline,deliveries,protection'], cwd });
  const { code } = await bench.exited;
  expect({ code, output: bench.output() }).toMatchObject({ code: 0, output: expect.stringContaining('All notifications arrived') });
  expect(bench.output()).toMatch(/carillon +500\/s: \d+ queued, \d+ of 1500 arrived/);
  expect(bench.output()).toMatch(/latency p99, ms +[\d.,]+ +[\d.,]+ +[\d.,]+ x +at most 2\.00 x +(met|NOT MET)/);

  expect(bench.output()).toMatch(/email deliveries, mails\/s +[\d.,]+ +[\d.,]+ +[\d.,]+ x +at least 1\.00 x +(met|NOT MET)/);
  expect(bench.output()).toMatch(/push sessions, per 1,000 pushes +[\d.,]+ +[\d.,]+ +[\d.,]+ x/);

  expect(bench.output()).toMatch(/sealing [\d.]+ µs \(\d+ %\), audit [\d.]+ µs \(\d+ %\)/);

  const results = JSON.parse(readFileSync(join(cwd, 'bench-results.json'), 'utf8'));
  expect(results).toMatchObject({
    date: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    machine: { cpu: expect.any(String), cores: expect.any(Number) },
    versions: { node: process.version, redis: expect.any(String), bullmq: expect.any(String) },
    users: 200,
    protection: numbers(['sealing', 'audit', 'detector', 'keyMade', 'keyFetched']),
    plan: { burst: { count: 2000, callers: 500 }, latency: { perSecond: 500, seconds: 2 } },
    pairs: [{ carillon: run('carillon'), yardstick: run('yardstick'), tuned: run('tuned') }],
    deliveries: ['email', 'push'].map((channel) => ({
      carillon: delivery(channel, 'carillon'),
      yardstick: delivery(channel, 'yardstick'),
    })),
  });
  const aims = results.comparisons.filter(({ aim }: { aim: unknown }) => aim !== null);
  expect(aims.map(({ metric }: { metric: string }) => metric)).toEqual([
    'burst throughput',
    'Redis commands',
    'latency p50',
    'latency p99',
    'email deliveries',
    'push deliveries',
  ]);
  for (const { met, ratio } of aims) expect([typeof met, Number.isFinite(ratio)]).toEqual(['boolean', true]);
});

const socketRun = (side: string) => ({
  ...{ side, sockets: 200, memory: numbers(['residentBytes', 'heapBytes']), cost: numbers(['server', 'publisher', 'redis', 'client']) },
  ...numbers(['startedAt', 'endedAt', 'connectedPerSecond', 'connectCost', 'deliveredPerSecond', 'bytesPerDelivery']),
  latency: { samples: 1000, ...numbers(['p50', 'p99']) },
});
const storm = (side: string) => ({
  side,
  clients: 200,
  ...numbers(['downSeconds', 'backSeconds', 'serverCpuSeconds', 'refused', 'unreachable']),
});

test('a quick run of the sockets compares three servers, and a storm in which nothing is missed', async () => {
  const bench = spawnProcess(main, { args: ['--quick', '--only', 'sockets,storm'], cwd });
  const { code } = await bench.exited;
  expect({ code, output: bench.output() }).toMatchObject({ code: 0, output: expect.stringContaining('Everything measured is in') });
  expect(bench.output()).toMatch(/publish to socket, delivered\/s, 200 +[\d.,]+ +[\d.,]+ +[\d.,]+ x +at least 2\.00 x (met|NOT MET)/);
  expect(bench.output()).toMatch(/idle socket, KiB RSS, 200 +[\d.,]+ +at most 12\.0 (met|NOT MET)/);
  expect(bench.output()).toMatch(/Carillon: down for .* 200 resumed, none in part, 0 missed\./);

  const { sockets, storms, pairs } = JSON.parse(readFileSync(join(cwd, 'bench-results.json'), 'utf8'));
  expect(pairs).toEqual([]);
  const sides = ['carillon', 'socket.io', 'plain', 'stored'];
  expect(sockets).toMatchObject([Object.fromEntries(sides.map((side) => [side, socketRun(side)]))]);
  expect(storms).toMatchObject([
    { ...storm('carillon'), recovered: 200, unrecovered: 0, gaps: 0, repeated: 0, missed: 0 },
    // The yardstick has nothing to resume: it shows that there was something to miss.
    { ...storm('plain'), missed: 200 },
  ]);
});
