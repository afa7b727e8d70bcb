import { expect, test } from '@jest/globals';
import { compare, compareDeliveries, type DeliveryPair, type Pair, table } from './results.js';
import { checkArrivals, type Run } from './run.js';

function run(perSecond: number, commands: number, p50: number, p99: number): Run {
  const cost = {
    redisCommands: commands,
    redisCpuMicroseconds: 1,
    redisBytes: 1,
    redisFileBytes: 1,
    cpuMicroseconds: { producer: 1, renderer: 1, 'in-app': 1, gateway: 1, client: 1 },
    serverCpuMicroseconds: 5,
    redisByCommand: {},
  };
  return {
    side: 'carillon',
    redisVersion: '7',
    burst: { startedAt: 0, seconds: 1, perSecond, queuedPerSecond: 1, cost },
    latency: { startedAt: 0, samples: 1, p50, p95: p50, p99, max: p99, cost },
  };
}
const pair = (times: number): Pair => ({
  carillon: run(1000 * times, 10, 3, 9),
  yardstick: run(1000, 60, 2, 4),
  tuned: run(2000, 60, 2, 4),
});

test('aims are judged by the median of the ratios of pairs', () => {
  const [throughput, commands, p50, p99] = compare([pair(3), pair(4.5), pair(5)]);
  expect(throughput).toMatchObject({ ratio: 4.5, ratios: [3, 4.5, 5], met: true });
  expect(commands).toMatchObject({ ratio: 1 / 6, met: true });
  expect(p50).toMatchObject({ ratio: 1.5, met: true });
  expect(p99).toMatchObject({ ratio: 2.25, met: false });
  expect(compare([pair(3.9)])[0]).toMatchObject({ met: false });
});

test('the table says which aim is not met', () => {
  const lines = table(compare([pair(5)])).split('\n');
  expect(lines[1]).toMatch(/burst throughput.*5,000.*1,000.*5\.00 x.*at least 4\.00 x {2}met.*2.50 x$/);
  expect(lines[4]).toMatch(/NOT MET/);
});

test('what is lost, repeated or foreign is an error', () => {
  expect(() => checkArrivals({ ids: ['a', 'b'] }, { ids: ['b', 'a'] })).not.toThrow();
  expect(() => checkArrivals({ ids: ['a', 'b'] }, { ids: ['a'] })).toThrow('1 were lost');
  expect(() => checkArrivals({ ids: ['a', 'b'] }, { ids: ['a', 'b', 'b'] })).toThrow('1 came again');
  expect(() => checkArrivals({ ids: ['a'] }, { ids: ['a', 'c'] })).toThrow('1 were not ours');
});

test('deliveries are compared by channel, without a tuned side', () => {
  const deliveries = (channel: 'email' | 'push', ours: number, sessions: number): DeliveryPair => {
    const run = { channel, count: 1000, concurrency: 50 };
    return {
      carillon: { ...run, side: 'carillon', perSecond: ours, connectionsPerThousand: sessions },
      yardstick: { ...run, side: 'yardstick', perSecond: 1000, connectionsPerThousand: 50 },
    };
  };
  const compared = compareDeliveries([deliveries('email', 900, 50), deliveries('push', 3000, 10), deliveries('email', 950, 50)]);
  expect(compared).toMatchObject([
    { metric: 'email deliveries', carillon: 925, ratios: [0.9, 0.95], met: false, tuned: null, ratioToTuned: null },
    { metric: 'push deliveries', ratio: 3, met: true },
    { metric: 'push sessions', carillon: 10, yardstick: 50, ratio: 0.2, met: null },
  ]);
  expect(table(compared)).toMatch(/push deliveries.*3,000.*1,000.*3\.00 x.*at least 1\.00 x {2}met$/m);
});
