import { expect, test } from '@jest/globals';
import { createPace, Outbox, type Pace } from './outbox.js';

/** An outbox whose socket takes everything and lets it go on demand. */
function outbox(maxBytes: number, maxWaitMs = 10_000, pace: Pace = createPace()) {
  const writes: string[][] = [];
  const socket = { buffered: 0 };
  const write = (frames: readonly Buffer[]) => {
    writes.push(frames.map(String));
    for (const frame of frames) socket.buffered += frame.length;
  };
  return {
    box: new Outbox(
      {
        write,
        get buffered() {
          return socket.buffered;
        },
      },
      { maxBytes, maxWaitMs },
      pace,
    ),
    writes,
    socket,
  };
}
const tick = () => new Promise((resolve) => setImmediate(resolve));

test('writes all frames of a tick at once, in order', async () => {
  const { box, writes } = outbox(1000);
  for (const text of ['a', 'b', 'c']) box.push(Buffer.from(text), true);
  expect(writes).toEqual([]);
  await tick();
  box.push(Buffer.from('d'), true);
  await tick();
  expect(writes).toEqual([['a', 'b', 'c'], ['d']]);
});

test('in a flood the changes that follow the first gather; an answer takes them along', async () => {
  const { box, writes } = outbox(1000, 10_000, { gatherMs: () => 25, wrote: () => {} });
  box.push(Buffer.from('a'), false);
  await tick();
  expect(writes).toEqual([['a']]);
  box.push(Buffer.from('b'), false);
  box.push(Buffer.from('c'), false);
  await tick();
  expect(writes).toEqual([['a']]);
  box.push(Buffer.from('answer'), true);
  await tick();
  expect(writes).toEqual([['a'], ['b', 'c', 'answer']]);
  box.push(Buffer.from('d'), false);
  while (writes.length < 3) await tick();
  expect(writes[2]).toEqual(['d']);
});

test('without a flood nothing waits', async () => {
  const { box, writes } = outbox(1000);
  for (const text of ['a', 'b', 'c']) {
    box.push(Buffer.from(text), false);
    await tick();
  }
  expect(writes).toEqual([['a'], ['b'], ['c']]);
});

test('many writes in a short time are a flood, and it ends with them', () => {
  const pace = createPace();
  for (let i = 0; i < 500; i++) pace.wrote(1000 + i * 0.1);
  expect(pace.gatherMs(1050)).toBe(25);
  expect(pace.gatherMs(1110)).toBe(0);
  for (let i = 0; i < 100; i++) pace.wrote(1050 + i);
  expect(pace.gatherMs(1150)).toBe(0);
});

test('says when too much waits, whether in it or in the socket', async () => {
  const { box, writes } = outbox(100);
  const frame = Buffer.alloc(30, 'x');
  let taken = 0;
  while (box.push(frame, true) === undefined) taken++;
  // What may wait is 100 bytes beside the largest frame, and one frame may be the one too many.
  expect(taken).toBe(5);
  expect(box.size).toBe(150);
  await tick();
  expect(writes[0]).toHaveLength(5);
  expect(box.push(frame, true)).toBe('TOO_SLOW');
});

test('lets one large frame pass and is back at its limit when all has left', async () => {
  const { box, socket } = outbox(100);
  expect(box.push(Buffer.alloc(5000), true)).toBeUndefined();
  expect(box.push(Buffer.alloc(10), true)).toBeUndefined();
  await tick();
  socket.buffered = 0;
  let taken = 0;
  while (box.push(Buffer.alloc(10), true) === undefined) taken++;
  expect(taken).toBe(12);
});

test('tells a stuck client from a busy one', async () => {
  const { box, socket } = outbox(10_000, 200);
  expect(box.check()).toBe('empty');
  const until = performance.now() + 500;
  // Always something on its way, but all of it leaves in time.
  while (performance.now() < until) {
    box.push(Buffer.alloc(10), true);
    await tick();
    expect(box.check()).toBe('waiting');
    socket.buffered = 10;
  }
  let state = box.check();
  while (state === 'waiting') {
    await tick();
    state = box.check();
  }
  expect(state).toBe('TOO_SLOW');
  socket.buffered = 0;
  expect(box.check()).toBe('empty');
});
