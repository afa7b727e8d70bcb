import { expect, test } from '@jest/globals';
import { compareSockets, roundOf, type SocketRound, socketTable } from './results.js';
import type { SocketRun } from './run.js';
import { checkStorm, type Storm, tellStorms } from './storm.js';
import type { SocketSide } from './system.js';

function run(side: SocketSide, sockets: number, deliveredPerSecond: number, kib: number): SocketRun {
  return {
    ...{ side, sockets, deliveredPerSecond, connectedPerSecond: 1000, connectCost: 1000, bytesPerDelivery: 250 },
    ...{ redisVersion: '7', startedAt: 0, endedAt: 1 },
    memory: { residentBytes: kib * 1024, heapBytes: 512 },
    cost: { server: 1, publisher: 1, redis: 1, client: 1 },
    latency: { samples: 1, p50: 1, p99: 2 },
  };
}
const round = (sockets: number, ours: number, kib = 11): SocketRound =>
  roundOf([
    run('carillon', sockets, ours, kib),
    run('socket.io', sockets, 1000, 22),
    run('plain', sockets, 2000, 10),
    run('stored', sockets, 1600, 10),
  ]);

test('sides are compared by number of sockets and judged by medians of the ratios of rounds', () => {
  const compared = compareSockets([round(10, 1800), round(10, 2200), round(10, 2400), round(20, 1000, 13)]);
  const [few, ...rest] = compared.filter(({ metric }) => metric === 'publish to socket');
  expect(few).toMatchObject({ sockets: 10, carillon: { median: 2200, min: 1800, max: 2400 } });
  expect(few?.peers['socket.io']).toMatchObject({
    ratio: { median: 2.2, min: 1.8, max: 2.4 },
    aim: { is: 'at least', value: 2 },
    met: true,
  });
  expect(few?.peers.plain).toMatchObject({ ratio: { median: 1.1 }, met: true });
  expect(few?.peers.stored).toMatchObject({ ratio: { median: 1.375 }, aim: null, met: null });
  expect(rest).toMatchObject([{ sockets: 20, peers: { 'socket.io': { met: false }, plain: { met: false } } }]);
  const memory = compared.filter(({ unit }) => unit === 'KiB RSS');
  expect(memory).toMatchObject([
    { sockets: 10, carillon: { median: 11 }, met: true },
    { sockets: 20, carillon: { median: 13 }, met: false },
  ]);
});

test('the table says what is met, and how far rounds differ', () => {
  const lines = socketTable(compareSockets([round(1000, 1800), round(1000, 2200)]), 2).split('\n');
  expect(lines[0]).toMatch(/Carillon +aim +Socket\.IO +ratio +aim +plain ws +ratio +aim +ws, stored +ratio +aim$/);
  expect(lines[1]).toMatch(/^publish to socket, delivered\/s, 1,000 +2,000 +1,000 +2\.00 x \(1\.80-2\.20\) +at least 2\.00 x met/);
  expect(lines[2]).toMatch(/^idle socket, KiB RSS, 1,000 +11\.0 +at most 12\.0 met/);
});

test('a round without one of the sides is none', () => {
  expect(() => roundOf([run('carillon', 1, 1, 1), run('plain', 1, 1, 1)])).toThrow('nothing was measured of socket.io, stored');
});

const storm: Storm = {
  ...{ side: 'carillon', clients: 10, downSeconds: 0.5, backSeconds: 4.25, halfBackSeconds: 1, mostBackSeconds: 3, serverCpuSeconds: 1 },
  ...{ refused: 3, unreachable: 2, closed: 10, recovered: 10, unrecovered: 0, gaps: 0, repeated: 0, messages: 10, missed: 0 },
};

test('a storm in which anything was missed, repeated or not resumed is an error', () => {
  expect(() => checkStorm(storm)).not.toThrow();
  const wrong = [{ recovered: 9 }, { unrecovered: 1 }, { gaps: 1 }, { repeated: 1 }, { missed: 1 }];
  for (const one of wrong) expect(() => checkStorm({ ...storm, ...one })).toThrow('of 10 clients');
});

test('storms are told in words', () => {
  const told = tellStorms([storm, { ...storm, side: 'plain', recovered: 0, missed: 10 }]).split('\n');
  expect(told[0]).toBe(
    'Carillon: down for 0.5 s, half of them back 1.0 s later, 99 % 3.0 s, all 4.3 s; 1.0 s of CPU; 3 handshakes refused, 2 connections in vain; 10 resumed, none in part, 0 missed.',
  );
  expect(told[1]).toMatch(/^Plain ws: .* nothing to resume, 10 of 10 messages missed\.$/);
});
