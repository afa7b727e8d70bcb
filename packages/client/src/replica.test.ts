import { waitFor } from '@carillon/testkit';
import { afterEach, expect, test } from '@jest/globals';
import { hear, item, tokenFor } from '../test/harness.js';
import { type Scripted, startScripted } from '../test/scripted.js';
import { type ClientOptions, createClient } from './index.js';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

type Frame = Scripted['frames'][number];

const notification = (id: string, more = {}) => ({
  ...item('u'),
  id,
  tags: [],
  createdAt: Number(id.slice(1)),
  readAt: null,
  archivedAt: null,
  ...more,
});
const created = (id: string, offset: number, unreadCount = offset) => ({
  type: 'notification',
  event: 'new',
  data: notification(id),
  offset,
  unreadCount,
});

/** A client of a server whose pages and marks a test answers by hand. */
async function run(options: Partial<ClientOptions> = {}) {
  const state = { recovered: false, epoch: 'e', offset: 0, connection: undefined as unknown as Scripted };
  const asked: Frame[] = [];
  const server = await startScripted((frame, connection) => {
    state.connection = connection;
    const { epoch, offset, recovered } = state;
    if (frame.type !== 'authenticate') asked.push(frame);
    else connection.send({ type: 'authenticated', data: { userId: 'u', unreadCount: 0, epoch, offset, recovered } });
  });
  const client = createClient({ url: server.url, share: false, getToken: () => tokenFor('u'), ...options });
  const heard = hear(client);
  stops.push(() => {
    client.close();
    return server.stop();
  });
  client.connect();
  return {
    state,
    client,
    heard,
    send: (frame: object) => state.connection.send(frame),
    /** The next request that is not taken yet. */
    next: async () => {
      await waitFor(() => asked.length, { what: 'a request' });
      return asked.shift() as Frame;
    },
    page(to: Frame | undefined, ids: string[], offset: number, more = {}) {
      const data = ids.map((id) => notification(id));
      state.connection.send({ type: 'notifications', data, epoch: state.epoch, offset, unreadCount: 0, requestId: to?.requestId, ...more });
    },
    shows: (ids: string[]) =>
      waitFor(() => expect(client.snapshot.notifications.map(({ id }) => id)).toEqual(ids) ?? true, { what: `the list ${ids}` }),
  };
}

test('more can be loaded after a page that stands for what was missed came in between', async () => {
  const { client, next, page, shows } = await run();
  page(await next(), ['n9'], 0, { nextCursor: 'c' });
  await shows(['n9']);
  const overtaken = client.loadMore();
  const late = await next();
  page(undefined, ['n9', 'n8'], 3, { snapshot: true, nextCursor: 'd' });
  await shows(['n9', 'n8']);
  page(late, ['n7'], 3);
  await overtaken;
  const more = client.loadMore();
  const request = await next();
  expect(request.cursor).toBe('d');
  page(request, ['n7'], 3);
  await more;
  await shows(['n9', 'n8', 'n7']);
});

test('a change that came before a first page is not lost by asking for more meanwhile', async () => {
  const { client, next, page, send, shows } = await run({ filter: { unread: false } });
  const read = { readAt: 1 };
  page(await next(), ['n5'], 0, { nextCursor: 'c', data: [notification('n5', read)] });
  await shows(['n5']);
  send({ type: 'allRead', data: { upTo: 1 }, offset: 1, unreadCount: 0 });
  const first = await next();
  send({ ...created('n6', 2), event: 'updated', data: notification('n6', read) });
  await shows(['n6', 'n5']);
  void client.loadMore();
  page(first, [], 1, { nextCursor: 'd', data: [notification('n5', read), notification('n4', read)] });
  await shows(['n6', 'n5', 'n4']);
  const more = client.loadMore();
  const request = await next();
  page(request, [], 2, { data: [notification('n3', read)] });
  await more;
  await shows(['n6', 'n5', 'n4', 'n3']);
});

test('one that came by a page is not told again by its change', async () => {
  const { client, heard, state, next, page, send, shows } = await run({ filter: { archived: false } });
  page(await next(), ['n5'], 0);
  await shows(['n5']);
  // After what cannot be made good, a page is fetched; it is read after a change that is told later.
  page(undefined, ['n5'], 7, { snapshot: true });
  page(await next(), ['n7', 'n6', 'n5'], 8);
  await shows(['n7', 'n6', 'n5']);
  send(created('n7', 8));
  send(created('n8', 9));
  await shows(['n8', 'n7', 'n6', 'n5']);
  expect(heard.notification.map(({ id }) => id)).toEqual(['n6', 'n7', 'n8']);
  expect([client.snapshot.unreadCount, state.epoch]).toEqual([9, 'e']);
});

test('all are marked as read, but for what arrives after the server did it', async () => {
  const { client, next, page, send, shows } = await run();
  page(await next(), ['n5'], 0);
  await shows(['n5']);
  const done = client.markAllAsRead();
  const request = await next();
  send({ type: 'allRead', data: { upTo: 1 }, offset: 1, unreadCount: 0 });
  send(created('n6', 2, 1));
  send({ type: 'ok', requestId: request.requestId });
  await done;
  expect(client.snapshot.notifications.map(({ id, readAt }) => [id, readAt])).toEqual([
    ['n6', null],
    ['n5', 1],
  ]);
  expect(client.snapshot.unreadCount).toBe(1);
});
