import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { badTokens } from '@carillon/access/testing';
import { startRedis, TestClient, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { expectEqual, gather, settle, startWorld } from './chaos.js';
import { count } from './counts.js';
import { frameBytes, RawSocket } from './raw-socket.js';
import { endings, greet, jwtSecret, tokenFor } from './system.js';

const later = endings();
const FRAMES = count(1000, 10_000);
/** Sockets that misbehave at the same time; fewer than one user may have. */
const AT_ONCE = 20;
const MiB = 1024 * 1024;
/** Without bounds Node keeps what it has once had, long after it is free: a leak could not be told from that. */
const SMALL_HEAP = { NODE_OPTIONS: '--max-old-space-size=96 --max-semi-space-size=8' };
/** What the gateway may be larger by in the end: heap that is not collected yet, and what the allocator keeps. */
const KEPT = 40 * MiB;

const text = (payload: string | Buffer) => frameBytes({ opcode: 1, payload });
const json = (value: object) => text(JSON.stringify(value));

/** What comes of a frame: the code it closes with, or that of the error after which the socket lives on. */
type Outcome = { readonly closes: number } | { readonly error: string };
const BAD_PROTOCOL: Outcome = { closes: 3501 };
/** Before and after authentication. */
type Kind = readonly [bytes: () => Buffer, before: Outcome, after: Outcome];

const kinds: Record<string, Kind> = {
  'not JSON': [() => text('{"type":"markAs'), BAD_PROTOCOL, { error: 'BAD_MESSAGE' }],
  nothing: [() => text(''), BAD_PROTOCOL, { error: 'BAD_MESSAGE' }],
  binary: [() => frameBytes({ opcode: 2, payload: Buffer.from([0, 255, 1, 254]) }), BAD_PROTOCOL, { error: 'BAD_MESSAGE' }],
  'no object': [() => text('[1, "authenticate", null]'), BAD_PROTOCOL, { error: 'BAD_MESSAGE' }],
  'an unknown type': [() => text('{"type":"constructor","__proto__":{"type":"authenticate"}}'), BAD_PROTOCOL, { error: 'BAD_MESSAGE' }],
  'a wrong type of a field': [() => json({ type: 'markAsRead', notificationId: { $ne: 1 } }), BAD_PROTOCOL, { error: 'FIELD_INVALID' }],
  'a number no counter has': [() => json({ type: 'getNotifications', limit: 1e300 }), BAD_PROTOCOL, { error: 'FIELD_INVALID' }],
  'a huge requestId': [() => json({ type: 'markAllAsRead', requestId: 'x'.repeat(10_000) }), BAD_PROTOCOL, { error: 'FIELD_INVALID' }],
  'deep nesting': [() => text(`${'['.repeat(8000)}${']'.repeat(8000)}`), BAD_PROTOCOL, { error: 'BAD_MESSAGE' }],
  'a token that is none': [() => json({ type: 'authenticate', token: { alg: 'none' } }), { closes: 3500 }, { closes: 3500 }],
  'a byte too many': [() => text(' '.repeat(16 * 1024 + 1)), BAD_PROTOCOL, BAD_PROTOCOL],
  'a length of exabytes': [() => frameBytes({ opcode: 1, payload: 'x', length: 2n ** 62n }), BAD_PROTOCOL, BAD_PROTOCOL],
  'parts too big together': [
    () => Buffer.concat([1, 0].map((opcode) => frameBytes({ opcode, payload: ' '.repeat(9000), fin: opcode === 0 }))),
    BAD_PROTOCOL,
    BAD_PROTOCOL,
  ],
  'too many parts': [
    () => Buffer.concat([1, ...Array(30).fill(0)].map((opcode) => frameBytes({ opcode, payload: '', fin: false }))),
    BAD_PROTOCOL,
    BAD_PROTOCOL,
  ],
  'a part of nothing': [() => frameBytes({ opcode: 0, payload: '{}' }), BAD_PROTOCOL, BAD_PROTOCOL],
  'a message within another': [
    () => Buffer.concat([frameBytes({ opcode: 1, payload: '{', fin: false }), frameBytes({ opcode: 1, payload: '}' })]),
    BAD_PROTOCOL,
    BAD_PROTOCOL,
  ],
  'bad UTF-8': [() => text(Buffer.from([0x7b, 0xc3, 0x28, 0x7d])), BAD_PROTOCOL, BAD_PROTOCOL],
  'a bad opcode': [() => frameBytes({ opcode: 3, payload: '{}' }), BAD_PROTOCOL, BAD_PROTOCOL],
  'reserved bits': [() => frameBytes({ opcode: 1, payload: '{}', reserved: 7 }), BAD_PROTOCOL, BAD_PROTOCOL],
  'without a mask': [() => frameBytes({ opcode: 1, payload: '{}', masked: false }), BAD_PROTOCOL, BAD_PROTOCOL],
  'a ping in parts': [() => frameBytes({ opcode: 9, payload: '', fin: false }), BAD_PROTOCOL, BAD_PROTOCOL],
  'a ping too long': [() => frameBytes({ opcode: 9, payload: 'x'.repeat(200) }), BAD_PROTOCOL, BAD_PROTOCOL],
  'a close of one byte': [() => frameBytes({ opcode: 8, payload: 'x' }), BAD_PROTOCOL, BAD_PROTOCOL],
};

/** Sends one malformed frame and gives what came of it; of an error, once the socket has shown that it lives. */
async function misbehave(url: string, bytes: Buffer, token?: string): Promise<Outcome> {
  const socket = await RawSocket.open(url);
  try {
    if (token !== undefined) {
      socket.send({ type: 'authenticate', token });
      await socket.next('authenticated');
    }
    socket.write(bytes);
    await waitFor(() => socket.closeCode !== undefined || socket.frames.some(({ type }) => type === 'error'), { what: 'an answer' });
    const error = socket.frames.find(({ type }) => type === 'error');
    // The close comes right after the error, if it comes.
    if (error && token !== undefined) socket.send({ type: 'getNotifications', limit: 1, requestId: 'alive' });
    await waitFor(() => socket.closeCode !== undefined || socket.frames.some(({ requestId }) => requestId === 'alive'), { what: 'more' });
    return socket.closeCode === undefined ? { error: error?.code as string } : { closes: socket.closeCode };
  } finally {
    socket.cut();
  }
}

/** Ends a connection in the middle of something: of a frame, or of the handshake. */
async function breakOff(url: string, token: string): Promise<void> {
  const frame = json({ type: 'authenticate', token });
  const socket = await RawSocket.open(url);
  socket.write(frame.subarray(0, Math.floor(Math.random() * frame.length)));
  await sleep(1);
  socket.cut();
  const { hostname, port } = new URL(url);
  const handshake = connect({ host: hostname, port: Number(port) }).on('error', () => undefined);
  handshake.write('GET / HTTP/1.1\r\nUpgrade: webso');
  await sleep(1);
  handshake.destroy();
}

test('malformed frames of every kind close with the documented code or get an error; nothing crashes, nobody else notices', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const { stores, http, gateway } = await startWorld(redis, later, SMALL_HEAP);
  const users = Array.from({ length: 10 }, (_, i) => `user|${i}`);
  const clients = await gather(users, gateway.url, later);
  const token = await tokenFor('mallory');
  const ways = Object.entries(kinds).flatMap(([name, [bytes, before, after]]) => [
    { name: `${name}, before`, bytes, expected: before, token: undefined },
    { name: `${name}, after`, bytes, expected: after, token },
  ]);

  const wrong: unknown[] = [];
  let done = 0;
  const misbehaveUntil = async (limit: number) => {
    while (done < limit) {
      const way = ways[done++ % ways.length] as (typeof ways)[0];
      const found = await misbehave(gateway.url, way.bytes(), way.token).catch((error: Error) => ({ failed: error.message }));
      if (JSON.stringify(found) !== JSON.stringify(way.expected)) wrong.push([way.name, found, way.expected]);
      if (done % 10 === 0) await breakOff(gateway.url, token);
    }
  };
  const crowd = (limit: number) => Promise.all(Array.from({ length: AT_ONCE }, () => misbehaveUntil(limit)));
  // Once around, so that what stays in memory for good is there.
  await crowd(5 * ways.length);
  const before = gateway.memory();
  let isOver = false;
  const serve = async () => {
    for (let i = 0; !isOver; i++) {
      await stores.producer.queueNotification(greet(users[i % users.length] as string, `${i}`));
      await sleep(20);
    }
  };
  const serving = serve();
  await crowd(FRAMES);
  isOver = true;
  await serving;

  expect(wrong.slice(0, 10)).toEqual([]);
  expect(gateway.isAlive()).toBe(true);
  await waitFor(() => stores.views.idle(['render', 'in_app']), { what: 'the queues to be worked off' });
  await settle(clients, stores);
  for (const [user, client] of clients) {
    await expectEqual(user, client, http, stores);
    expect(client.visits).toBe(1);
  }
  await waitFor(() => gateway.memory() < before + KEPT, { timeout: 20_000, what: `memory to be about ${before} again` });
  console.info(
    `${done} malformed frames of ${ways.length} ways; memory ${Math.round(before / MiB)} MiB before, ${Math.round(gateway.memory() / MiB)} after`,
  );
});

test('bad tokens of every kind are refused with 3500', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const { gateway } = await startWorld(redis, later);
  const bad = await badTokens(jwtSecret);
  expect(bad.length).toBeGreaterThanOrEqual(25);
  for (const { name, token, code } of bad) {
    const client = await TestClient.connect(gateway.url);
    const answer = await client.authenticate(token);
    expect([name, answer.type, answer.code, (await client.closed).code]).toEqual([name, 'error', code, 3500]);
  }
  const good = await TestClient.connect(gateway.url);
  expect(await good.authenticate(await tokenFor('ann'))).toMatchObject({ type: 'authenticated' });
  await good.close();
});
