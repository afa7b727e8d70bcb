import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { type WebSocket, WebSocketServer } from 'ws';
import { FoldingClient } from './folding-client.js';
import { waitFor } from './wait-for.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const item = (id: string, rest: object = {}) => ({ id, readAt: null, status: 'delivered', ...rest });
const greeting = (offset: number, recovered = false) => ({
  type: 'authenticated',
  data: { userId: 'ann', unreadCount: 0, epoch: 'e', offset, recovered },
});
const told = (offset: number, event: string, data: object, unreadCount: number) => ({
  type: 'notification',
  event,
  data,
  offset,
  unreadCount,
});

/** A client of a server that answers each visit's `authenticate` with the next of these lists of frames, and then cuts all but the last. */
async function visiting(...visits: object[][]) {
  const server = new WebSocketServer({ port: 0 });
  const asked: { epoch?: string; offset?: number }[] = [];
  let last: WebSocket | undefined;
  server.on('connection', (socket) => {
    last = socket;
    socket.on('message', (data) => {
      asked.push(JSON.parse(data.toString()));
      const frames = visits[asked.length - 1] ?? [];
      for (const frame of frames) socket.send(JSON.stringify(frame));
      if (asked.length < visits.length) socket.close(3001);
    });
  });
  const client = new FoldingClient({ url: () => `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, token: () => 't' });
  ends.push(async () => {
    await client.stop();
    server.close();
  });
  let heard = 0;
  client.onFrame(() => {
    heard++;
  });
  await waitFor(() => heard === visits.flat().length, { what: 'all frames' });
  return { client, asked, last: () => last };
}

test('folds what it is told into a state, and comes back from where it was', async () => {
  const { client, asked } = await visiting(
    [greeting(0), told(1, 'new', item('a'), 1), told(2, 'new', item('b'), 2)],
    [greeting(4, true), told(3, 'read', item('a', { readAt: 5 }), 1), told(4, 'deleted', { id: 'b' }, 0)],
    [greeting(4, true), told(5, 'new', item('c'), 1), { type: 'allRead', data: { upTo: 9 }, offset: 6, unreadCount: 0 }],
  );
  expect(asked.map(({ epoch, offset }) => [epoch, offset])).toEqual([
    [undefined, undefined],
    ['e', 2],
    ['e', 4],
  ]);
  expect([...client.notifications.values()]).toEqual([item('a', { readAt: 5 }), item('c', { readAt: 9, status: 'read' })]);
  expect(client).toMatchObject({ offset: 6, unreadCount: 0, faults: [], visits: 3, snapshots: 0, isHere: true });
  expect([...client.closes]).toEqual([[3001, 2]]);
});

test('takes a snapshot in place of what it missed, and says so', async () => {
  const page = { type: 'notifications', snapshot: true, data: [item('z')], epoch: 'f', offset: 9, unreadCount: 1 };
  const rest = { type: 'notifications', data: [item('x')], epoch: 'f', offset: 10, unreadCount: 2, nextCursor: 'c' };
  const frames = [greeting(9), page, told(10, 'new', item('y'), 2), rest];
  const { client, asked } = await visiting([greeting(0), told(1, 'new', item('a'), 1)], frames);
  expect([...client.notifications.keys()]).toEqual(['z', 'y', 'x']);
  await waitFor(() => asked.length === 3, { what: 'the question for more' });
  expect(asked[2]).toEqual({ type: 'getNotifications', limit: 100, cursor: 'c' });
  expect(client).toMatchObject({ epoch: 'f', offset: 10, unreadCount: 2, snapshots: 1, faults: [] });
});

test.each([
  ['a change told twice', [told(1, 'new', item('a'), 1), told(1, 'new', item('a'), 1)], 'told 1 again'],
  ['a change left out', [told(1, 'new', item('a'), 1), told(3, 'new', item('b'), 2)], 'told 3 next'],
  ['one told as new twice', [told(1, 'new', item('a'), 1), told(2, 'new', item('a'), 1)], 'told of a as new'],
  ['a change of something unknown', [told(1, 'read', item('a', { readAt: 1 }), 0)], 'told of a as read'],
  ['a count that does not fit', [told(1, 'new', item('a'), 2)], 'new says 2 unread, folded are 1'],
])('notes %s', async (_, frames, fault) => {
  const { client } = await visiting([greeting(0), ...frames]);
  expect(client.faults).toEqual([expect.stringContaining(fault)]);
});

test('stays away when it is told to', async () => {
  const { client, asked, last } = await visiting([greeting(0)]);
  last()?.close(3507);
  await waitFor(() => client.faults.length > 0, { what: 'the end' });
  expect(client.faults).toEqual(['turned away for good: 3507']);
  expect(asked).toHaveLength(1);
});
