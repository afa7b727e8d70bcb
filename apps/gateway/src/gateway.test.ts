import { connect as connectTcp } from 'node:net';
import { noAudit } from '@carillon/audit';
import { CarillonError } from '@carillon/contracts';
import type { Inbox, InboxChange } from '@carillon/inbox';
import { TestClient, waitFor } from '@carillon/testkit';
import { afterEach, describe, expect, test } from '@jest/globals';
import { WebSocket, WebSocketServer } from 'ws';
import { memoryInbox, startGateway, tokenFor } from '../test/harness.js';
import { createGateway } from './index.js';

type Started = Awaited<ReturnType<typeof startGateway>>;
const running: Started[] = [];
async function start(given: Parameters<typeof startGateway>[0] = {}): Promise<Started> {
  const started = await startGateway(given);
  running.push(started);
  return started;
}
afterEach(async () => {
  await Promise.all(running.splice(0).map((started) => started.stop()));
});
const offsets = (client: TestClient, type = 'notification') =>
  client.frames.filter((frame) => frame.type === type).map((frame) => frame.offset);

describe('before authentication', () => {
  test.each<[string, string | Buffer, string, number]>([
    ['text that is not JSON', 'hello', 'BAD_MESSAGE', 3501],
    ['nothing', '', 'BAD_MESSAGE', 3501],
    ['a binary frame', Buffer.from('{"type":"authenticate","token":"x"}'), 'BAD_MESSAGE', 3501],
    ['another request', '{"type":"markAllAsRead"}', 'NOT_AUTHENTICATED', 3501],
    ['an unknown type', '{"type":"dance"}', 'NOT_AUTHENTICATED', 3501],
    ['JSON that is no object', 'null', 'NOT_AUTHENTICATED', 3501],
    ['authenticate without a token', '{"type":"authenticate"}', 'FIELD_INVALID', 3500],
    ['authenticate with a bad offset', '{"type":"authenticate","token":"x","offset":-1}', 'FIELD_INVALID', 3500],
    ['a token that is none', '{"type":"authenticate","token":"x"}', 'TOKEN_INVALID', 3500],
  ])('%s is refused', async (_, sent, code, closeCode) => {
    const { connect } = await start();
    const client = await connect();
    client.socket.send(sent);
    expect(await client.next('error')).toMatchObject({ code });
    expect((await client.closed).code).toBe(closeCode);
  });

  test('an expired token is refused', async () => {
    const { connect } = await start({ parts: { verify: () => Promise.reject(new CarillonError('TOKEN_EXPIRED')) } });
    const client = await connect();
    expect(await client.authenticate('old')).toMatchObject({ type: 'error', code: 'TOKEN_EXPIRED' });
    expect((await client.closed).code).toBe(3500);
  });

  test('silence is refused', async () => {
    const { connect } = await start({ options: { authenticateWithinMs: 300 } });
    const client = await connect();
    expect(await client.next('error')).toMatchObject({ code: 'NOT_AUTHENTICATED' });
    expect((await client.closed).code).toBe(3501);
  });

  test('a store that is away turns clients away who may come back', async () => {
    const inbox = memoryInbox();
    inbox.head = () => Promise.reject(new CarillonError('REDIS_UNAVAILABLE'));
    const { connect } = await start({ inbox });
    const client = await connect();
    expect(await client.authenticate(await tokenFor('u'))).toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    const { code, reason } = await client.closed;
    expect(code).toBe(3010);
    expect(JSON.parse(reason)).toMatchObject({ retryAfter: 1000 });
  });
});

test('a store that does not confirm a subscription turns clients away in time', async () => {
  const inbox = memoryInbox();
  const { follow } = inbox;
  let confirm = () => {};
  const confirmed = new Promise<void>((resolve) => (confirm = resolve));
  inbox.follow = async (...args) => {
    await confirmed;
    return follow(...args);
  };
  const { connect, signIn, append } = await start({ inbox, options: { subscribeWithinMs: 300 } });
  const client = await connect();
  expect(await client.authenticate(await tokenFor('anna'))).toMatchObject({ code: 'REDIS_UNAVAILABLE' });
  expect((await client.closed).code).toBe(3010);
  confirm();
  const again = await signIn('anna');
  expect(again.answer.type).toBe('authenticated');
  await append('anna');
  await again.client.next('notification');
});

describe('a known client', () => {
  test('is told where it stands, then each change and each count', async () => {
    const { signIn, append, inbox } = await start();
    await append('anna', 2);
    const { client, answer } = await signIn('anna');
    const { epoch } = await inbox.head('anna');
    expect(answer.data).toEqual({ userId: 'anna', unreadCount: 2, epoch, offset: 2, recovered: false });
    await append('anna');
    await inbox.markAllAsRead('anna');
    await waitFor(() => client.frames.length === 6, { what: 'six frames' });
    expect(client.frames.slice(1)).toMatchObject([
      { type: 'unreadCount', data: { unreadCount: 2 }, offset: 2 },
      { type: 'notification', event: 'new', data: { userId: 'anna', title: 'a title', readAt: null }, offset: 3, unreadCount: 3 },
      { type: 'unreadCount', data: { unreadCount: 3 }, offset: 3 },
      { type: 'allRead', data: { upTo: expect.any(Number) }, offset: 4, unreadCount: 0 },
      { type: 'unreadCount', data: { unreadCount: 0 }, offset: 4 },
    ]);
  });

  test('marks, reads its list, and has its request ids echoed in order', async () => {
    const { signIn, append } = await start();
    const [first] = await append('anna', 3);
    const { client } = await signIn('anna');
    client.send({ type: 'markAsRead', requestId: 1, notificationId: first as string });
    client.send({ type: 'getNotifications', requestId: 2, limit: 2, offset: 1 });
    client.send({ type: 'markAllAsRead', requestId: 3 });
    client.send({ type: 'getNotifications', requestId: 4 });
    await client.next((frame) => frame.requestId === 4);
    const answers = client.frames.filter((frame) => typeof frame.requestId === 'number');
    expect(answers.map((frame) => [frame.requestId, frame.type])).toEqual([
      [1, 'ok'],
      [2, 'notifications'],
      [3, 'ok'],
      [4, 'notifications'],
    ]);
    expect(answers[1]).toMatchObject({ offset: 4, unreadCount: 2, epoch: expect.any(String) });
    expect(answers[1]?.data).toHaveLength(2);
    expect(answers[3]).toMatchObject({ offset: 5, unreadCount: 0 });
    expect(answers[3]?.data).toHaveLength(3);
    expect(answers[3]).not.toHaveProperty('snapshot');
    expect(client.frames).toContainEqual(expect.objectContaining({ type: 'notification', event: 'read', offset: 4, unreadCount: 2 }));
  });

  test.each<[string, string | Buffer, string, string | number | undefined]>([
    ['text that is not JSON', '{"type":', 'BAD_MESSAGE', undefined],
    ['a binary frame', Buffer.from('{"type":"markAllAsRead"}'), 'BAD_MESSAGE', undefined],
    ['an unknown type', '{"type":"dance","requestId":"r"}', 'BAD_MESSAGE', 'r'],
    ['a list', '[]', 'BAD_MESSAGE', undefined],
    ['a missing field', '{"type":"markAsRead","requestId":7}', 'FIELD_INVALID', 7],
    ['a bad field', '{"type":"getNotifications","limit":101,"requestId":"r"}', 'FIELD_INVALID', 'r'],
    ['an unknown notification', '{"type":"markAsRead","notificationId":"none","requestId":"r"}', 'NOTIFICATION_NOT_FOUND', 'r'],
  ])('survives %s', async (_, sent, code, requestId) => {
    const { signIn } = await start();
    const { client } = await signIn('anna');
    client.socket.send(sent);
    const error = await client.next('error');
    expect(error.code).toBe(code);
    expect(error.requestId).toBe(requestId);
    if (code === 'FIELD_INVALID') expect(error.error).toMatch(/^(notificationId|limit): /);
    expect(await client.request({ type: 'markAllAsRead' })).toMatchObject({ type: 'ok' });
  });

  test('survives a store that is away', async () => {
    const { signIn } = await start({ parts: { markAllAsRead: () => Promise.reject(new CarillonError('REDIS_UNAVAILABLE')) } });
    const { client } = await signIn('anna');
    expect(await client.request({ type: 'markAllAsRead' })).toMatchObject({ type: 'error', code: 'REDIS_UNAVAILABLE' });
    expect(await client.request({ type: 'getNotifications' })).toMatchObject({ type: 'notifications' });
  });

  test('may bring a new token, but not of another user', async () => {
    const { signIn, append } = await start();
    const { client } = await signIn('anna');
    await append('anna');
    expect(await client.authenticate(await tokenFor('anna'), { epoch: 'x', offset: 0 })).toMatchObject({
      type: 'authenticated',
      data: { offset: 1, unreadCount: 1, recovered: false },
    });
    expect(await client.authenticate(await tokenFor('bert'))).toMatchObject({ type: 'error', code: 'TOKEN_INVALID' });
    expect((await client.closed).code).toBe(3500);
    expect(offsets(client)).toEqual([1]);
  });

  test('is closed when it asks faster than it is answered', async () => {
    let release = () => {};
    const markAllAsRead = () => new Promise<void>((resolve) => (release = resolve));
    const { signIn } = await start({ parts: { markAllAsRead } });
    const { client } = await signIn('anna');
    for (let i = 0; i < 150; i++) client.send({ type: 'markAllAsRead' });
    expect((await client.closed).code).toBe(3013);
    release();
  });

  test('is closed when its token expires, in silence', async () => {
    const { connect } = await start();
    const client = await connect();
    const answered = await client.authenticate(await tokenFor('anna', 1));
    expect(answered.type).toBe('authenticated');
    expect((await client.closed).code).toBe(3005);
    expect(client.frames.filter((frame) => frame.type === 'error')).toEqual([]);
  });

  test('is closed when a message comes with a token that is no good any more', async () => {
    let revoked = false;
    const verify = async () => {
      if (revoked) throw new CarillonError('TOKEN_INVALID');
      return { userId: 'anna', expiresAt: Date.now() + 60_000 };
    };
    const { signIn } = await start({ parts: { verify } });
    const { client } = await signIn('anna');
    revoked = true;
    expect(await client.request({ type: 'markAllAsRead' }).catch(() => client.frames.at(-1))).toMatchObject({ code: 'TOKEN_INVALID' });
    expect((await client.closed).code).toBe(3500);
  });

  test('is closed when it does not answer pings', async () => {
    const { url, closeCodes } = await start({ options: { pingEveryMs: 200, pongWithinMs: 300 } });
    const socket = new WebSocket(url, { autoPong: false });
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(JSON.stringify({ type: 'authenticate', token: await tokenFor('anna') }));
    expect(await closed).toBe(3012);
    await waitFor(() => closeCodes.length === 1, { what: 'the close to be counted' });
    expect(closeCodes).toEqual([3012]);
  });

  test('lives on while it answers pings', async () => {
    const { signIn } = await start({ options: { pingEveryMs: 100, pongWithinMs: 400 } });
    const { client } = await signIn('anna');
    let pings = 0;
    client.socket.on('ping', () => pings++);
    await waitFor(() => pings >= 4, { what: 'four pings' });
    expect(client.socket.readyState).toBe(WebSocket.OPEN);
  });
});

describe('a revoked token', () => {
  /** Revocations as the store has them; nobody announces them here. */
  function revocations() {
    const moments = new Map<string, number>();
    return {
      since: async (userIds: readonly string[]) => userIds.map((userId) => moments.get(userId) ?? 0),
      async revoke(userId: string) {
        const moment = Date.now() + 1;
        moments.set(userId, moment);
        await waitFor(() => Date.now() >= moment, { what: 'the next millisecond' });
      },
    };
  }

  test('is refused with its request, and one that was issued since is taken', async () => {
    const revoked = revocations();
    const { connect, signIn, audited } = await start({ parts: { revocations: revoked } });
    const old = await tokenFor('anna');
    await revoked.revoke('anna');
    for (const position of [{}, { epoch: 'any', offset: 3 }]) {
      const client = await connect();
      expect(await client.authenticate(old, position)).toMatchObject({ type: 'error', code: 'TOKEN_REVOKED' });
      expect(await client.closed).toMatchObject({ code: 3507 });
      expect(client.frames).toHaveLength(1);
    }
    expect(audited).toHaveLength(2);
    expect(audited[0]).toMatchObject({ action: 'access.refused', outcome: 'TOKEN_REVOKED', actor: { type: 'anybody' }, users: ['anna'] });
    expect((await signIn('anna')).answer.type).toBe('authenticated');
  });

  test('ends a live socket though its announcement was lost, and no other', async () => {
    const revoked = revocations();
    const { signIn, gateway } = await start({ parts: { revocations: revoked }, options: { checkPositionEveryMs: 200 } });
    const [anna, alsoAnna, bert] = [await signIn('anna'), await signIn('anna'), await signIn('bert')];
    const attached: number[] = [];
    gateway.attach('anna', { readyState: 1, bufferedAmount: 0, send() {}, on() {}, close: (code) => void attached.push(code) });
    await revoked.revoke('anna');
    const fresh = await signIn('anna');
    for (const { client } of [anna, alsoAnna]) expect((await client.closed).code).toBe(3507);
    for (const { client } of [bert, fresh]) expect(await client.request({ type: 'markAllAsRead' })).toMatchObject({ type: 'ok' });
    expect(attached).toEqual([]);
  });

  test('cannot replace a good one on a live socket', async () => {
    const revoked = revocations();
    const { signIn } = await start({ parts: { revocations: revoked } });
    const old = await tokenFor('anna');
    await revoked.revoke('anna');
    const { client } = await signIn('anna');
    expect(await client.authenticate(old)).toMatchObject({ type: 'error', code: 'TOKEN_REVOKED' });
    expect((await client.closed).code).toBe(3507);
  });

  test('a store that cannot tell turns clients away who may come back', async () => {
    const since = () => Promise.reject(new CarillonError('REDIS_UNAVAILABLE'));
    const { connect } = await start({ parts: { revocations: { since } } });
    const client = await connect();
    expect(await client.authenticate(await tokenFor('anna'))).toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    expect((await client.closed).code).toBe(3010);
  });
});

describe('a client whose person is being erased', () => {
  /** An inbox that refuses as it does during an erasure. */
  function erasing() {
    const inbox = memoryInbox();
    inbox.follow = () => Promise.reject(new CarillonError('ERASURE_UNDER_WAY', { retryAfter: 40_000 }));
    return inbox;
  }

  test('may come back with a token that counts, when the erasure is done', async () => {
    const { connect, audited } = await start({ inbox: erasing() });
    const client = await connect();
    expect(await client.authenticate(await tokenFor('anna'))).toMatchObject({ type: 'error', code: 'ERASURE_UNDER_WAY' });
    const { code, reason } = await client.closed;
    expect(code).toBe(3010);
    expect(JSON.parse(reason)).toMatchObject({ retryAfter: 40_000 });
    expect(audited).toEqual([]);
  });

  test('stays away with a token that was revoked', async () => {
    const revocations = { since: async (userIds: readonly string[]) => userIds.map(() => Date.now() + 1000) };
    const { connect, audited } = await start({ inbox: erasing(), parts: { revocations } });
    const client = await connect();
    expect(await client.authenticate(await tokenFor('anna'))).toMatchObject({ type: 'error', code: 'TOKEN_REVOKED' });
    expect((await client.closed).code).toBe(3507);
    expect(audited).toMatchObject([{ action: 'access.refused', outcome: 'TOKEN_REVOKED', users: ['anna'] }]);
  });

  test('may come back when nobody can tell whether the token was revoked', async () => {
    const since = () => Promise.reject(new CarillonError('REDIS_UNAVAILABLE'));
    const { connect } = await start({ inbox: erasing(), parts: { revocations: { since } } });
    const client = await connect();
    expect(await client.authenticate(await tokenFor('anna'))).toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    expect((await client.closed).code).toBe(3010);
  });
});

describe('the audit trail', () => {
  const opened = { action: 'session.opened', actor: { type: 'user', name: 'anna' } };
  const byAnna = { actor: { type: 'user', name: 'anna' }, users: ['anna'] };

  test('hears who read and changed what', async () => {
    const { signIn, append, inbox, audited } = await start();
    const [first, second] = await append('anna', 2);
    const { epoch, data } = await inbox.page('anna', { limit: 2 });
    const newestFirst = data.map(({ id }) => id);
    const { client } = await signIn('anna', { epoch, offset: 1 });
    await client.request({ type: 'getNotifications', limit: 1 });
    await client.request({ type: 'markAsRead', notificationId: first as string });
    await client.request({ type: 'markAsRead', notificationId: 'a word that is no id' });
    await client.request({ type: 'markAllAsRead' });
    await signIn('anna', { epoch: 'another', offset: 1 });
    expect(audited.filter(({ action }) => action.startsWith('inbox'))).toEqual([
      { ...byAnna, action: 'inbox.viewed', about: { frame: 'authenticate' }, ids: [second] },
      { ...byAnna, action: 'inbox.viewed', about: { frame: 'getNotifications' }, ids: newestFirst.slice(0, 1) },
      { ...byAnna, action: 'inbox.changed', about: { frame: 'markAsRead' }, ids: [first] },
      { ...byAnna, action: 'inbox.changed', about: { frame: 'markAsRead' }, outcome: 'NOTIFICATION_NOT_FOUND' },
      { ...byAnna, action: 'inbox.changed', about: { frame: 'markAllAsRead' } },
      { ...byAnna, action: 'inbox.viewed', about: { frame: 'authenticate' }, ids: newestFirst },
    ]);
  });

  test('hears of every token that was taken, also of one that comes later', async () => {
    const { signIn, audited } = await start();
    const { client } = await signIn('anna');
    expect(audited).toEqual([opened]);
    expect(await client.authenticate(await tokenFor('anna'))).toMatchObject({ type: 'authenticated' });
    expect(audited).toEqual([opened, opened]);
    expect(await client.authenticate(await tokenFor('bert'))).toMatchObject({ type: 'error', code: 'TOKEN_INVALID' });
    expect(audited.slice(2)).toMatchObject([{ action: 'access.refused', users: ['anna'] }]);
  });

  test('hears who was refused, and of no stranger who never tried', async () => {
    const { connect, audited } = await start();
    const stranger = await connect();
    stranger.send('hello');
    await stranger.closed;
    const client = await connect();
    await client.authenticate('no token');
    await client.closed;
    const about = { frame: 'authenticate' };
    expect(audited).toEqual([{ action: 'access.refused', actor: { type: 'anybody', name: '' }, outcome: 'TOKEN_INVALID', about }]);
  });
});

describe('a client that comes back', () => {
  test('gets all it missed, in order, uncoalesced, then what is new', async () => {
    const { signIn, append, inbox } = await start();
    const [first] = await append('anna', 3);
    const { epoch } = await inbox.head('anna');
    await inbox.markAsRead('anna', first as string);
    const { client, answer } = await signIn('anna', { epoch, offset: 1 });
    expect(answer.data).toMatchObject({ offset: 4, recovered: true, unreadCount: 2 });
    await append('anna');
    await client.next((frame) => frame.type === 'unreadCount' && frame.offset === 5);
    expect(client.frames.map((frame) => [frame.type, frame.offset ?? frame.data.offset])).toEqual([
      ['authenticated', 4],
      ['unreadCount', 4],
      ['notification', 2],
      ['notification', 3],
      ['notification', 4],
      ['notification', 5],
      ['unreadCount', 5],
    ]);
  });

  test('with nothing missed is told just that', async () => {
    const { signIn, append, inbox } = await start();
    await append('anna', 2);
    const { client, answer } = await signIn('anna', { ...(await inbox.head('anna')) });
    expect(answer.data).toMatchObject({ offset: 2, recovered: true });
    await client.request({ type: 'markAllAsRead' });
    expect(offsets(client)).toEqual([]);
  });

  test.each<[string, (head: { epoch: string; offset: number }) => { epoch: string; offset: number }]>([
    ['from another epoch', ({ offset }) => ({ epoch: 'other', offset })],
    ['from above the head', ({ epoch, offset }) => ({ epoch, offset: offset + 1 })],
    ['from before the log', ({ epoch }) => ({ epoch, offset: 0 })],
  ])('%s gets a snapshot', async (_, position) => {
    const { signIn, append, inbox } = await start();
    await append('anna', 600);
    const head = await inbox.head('anna');
    const { client, answer } = await signIn('anna', position(head));
    expect(answer.data).toMatchObject({ recovered: false, offset: head.offset });
    const snapshot = await client.next('notifications');
    expect(snapshot).toMatchObject({
      snapshot: true,
      epoch: head.epoch,
      offset: head.offset,
      unreadCount: 500,
      nextCursor: expect.any(String),
    });
    expect(snapshot.data).toHaveLength(50);
    expect(client.frames.map((frame) => frame.type)).toEqual(['authenticated', 'unreadCount', 'notifications']);
  });

  test('misses nothing of what happens while it is being answered', async () => {
    const inbox = memoryInbox();
    const { since, head } = inbox;
    const { signIn, append } = await start({ inbox });
    await append('anna', 3);
    const { epoch } = await inbox.head('anna');
    // One change between subscribing and reading, one between reading and answering.
    const disturbed = <A extends unknown[], R>(read: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        await append('anna');
        const result = await read(...args);
        await append('anna');
        return result;
      };
    };
    inbox.since = disturbed(since);
    inbox.head = disturbed(head);
    const resumed = await signIn('anna', { epoch, offset: 1 });
    const fresh = await signIn('anna');
    inbox.since = since;
    inbox.head = head;
    await append('anna');
    const last = (await inbox.head('anna')).offset;
    for (const { client, answer } of [resumed, fresh]) {
      await client.next((frame) => frame.type === 'notification' && frame.offset === last);
      const from = answer.data.recovered ? 2 : answer.data.offset + 1;
      expect(offsets(client)).toEqual(Array.from({ length: last - from + 1 }, (_, i) => from + i));
    }
  });
});

describe('announcements', () => {
  /** An inbox whose announcements can be lost. */
  function lossy(): { inbox: Inbox; lose: { next: number }; gap: () => void; follows: { count: number } } {
    const inbox = memoryInbox();
    const { follow } = inbox;
    const lose = { next: 0 };
    const follows = { count: 0 };
    const listeners: (() => void)[] = [];
    inbox.follow = async (userId, listener) => {
      follows.count++;
      const unfollow = await follow(userId, (change: InboxChange) => (lose.next > 0 ? lose.next-- : listener(change)));
      return async () => {
        follows.count--;
        await unfollow();
      };
    };
    inbox.onGap = (listener) => void listeners.push(listener);
    return { inbox, lose, follows, gap: () => listeners.forEach((listener) => void listener()) };
  }

  test('of one user are heard once, however many sockets it has, and only while it has one', async () => {
    const { inbox, follows } = lossy();
    const { signIn, append } = await start({ inbox });
    const sockets = await Promise.all(Array.from({ length: 4 }, () => signIn('anna')));
    expect(follows.count).toBe(1);
    await append('anna', 2);
    for (const { client } of sockets) {
      await client.next((frame) => frame.offset === 2);
      expect(offsets(client)).toEqual([1, 2]);
      await client.close();
    }
    await waitFor(() => follows.count === 0, { what: 'the subscription to end' });
    const { client } = await signIn('anna');
    await append('anna');
    await client.next((frame) => frame.offset === 3);
    expect(follows.count).toBe(1);
  });

  test('that were lost are read from the log at the next one', async () => {
    const { inbox, lose } = lossy();
    const { signIn, append } = await start({ inbox });
    const sockets = await Promise.all([signIn('anna'), signIn('anna')]);
    lose.next = 2;
    await append('anna', 3);
    for (const { client } of sockets) {
      await client.next((frame) => frame.type === 'notification' && frame.offset === 3);
      expect(offsets(client)).toEqual([1, 2, 3]);
    }
  });

  test('that were lost are found when the connection is back', async () => {
    const { inbox, lose, gap } = lossy();
    const { signIn, append } = await start({ inbox });
    const { client } = await signIn('anna');
    lose.next = 2;
    await append('anna', 2);
    gap();
    await client.next((frame) => frame.type === 'notification' && frame.offset === 2);
    expect(offsets(client)).toEqual([1, 2]);
  });

  test('that were lost without a sign are found in time', async () => {
    const { inbox, lose } = lossy();
    const { signIn, append } = await start({ inbox, options: { checkPositionEveryMs: 300 } });
    const { client } = await signIn('anna');
    lose.next = 1;
    await append('anna');
    await client.next((frame) => frame.type === 'notification' && frame.offset === 1);
  });

  test('that were lost for good are replaced by a snapshot', async () => {
    const { inbox, lose } = lossy();
    const { signIn, append } = await start({ inbox });
    const { client } = await signIn('anna');
    lose.next = 600;
    await append('anna', 601);
    const snapshot = await client.next('notifications');
    expect(snapshot).toMatchObject({ snapshot: true, unreadCount: 500 });
    const known = snapshot.offset;
    await append('anna');
    await client.next((frame) => frame.type === 'notification' && frame.offset > known);
    expect(offsets(client)[0]).toBe(known + 1);
  });

  test('a log that cannot be read is read again', async () => {
    const { inbox, lose } = lossy();
    const { since } = inbox;
    const { signIn, append } = await start({ inbox });
    const { client } = await signIn('anna');
    let failures = 1;
    inbox.since = (...args) => (failures-- > 0 ? Promise.reject(new CarillonError('REDIS_UNAVAILABLE')) : since(...args));
    lose.next = 1;
    await append('anna', 2);
    await client.next((frame) => frame.type === 'notification' && frame.offset === 2);
    expect(offsets(client)).toEqual([1, 2]);
  });
});

/** The first two frames a server sent, once both are there; each has a payload of less than 64 KiB. */
function twoFrames(bytes: Buffer): [{ opcode: number; payload: Buffer }, { opcode: number; payload: Buffer }] | undefined {
  const frames: { opcode: number; payload: Buffer }[] = [];
  let at = 0;
  while (frames.length < 2) {
    if (bytes.length < at + 4) return undefined;
    const short = (bytes[at + 1] as number) & 0x7f;
    const start = at + (short === 126 ? 4 : 2);
    const end = start + (short === 126 ? bytes.readUInt16BE(at + 2) : short);
    if (bytes.length < end) return undefined;
    frames.push({ opcode: (bytes[at] as number) & 0x0f, payload: bytes.subarray(start, end) });
    at = end;
  }
  return frames as [{ opcode: number; payload: Buffer }, { opcode: number; payload: Buffer }];
}

describe('a socket', () => {
  /** A client by hand, that can stop reading. */
  async function rawClient(url: string, first: string) {
    const socket = connectTcp(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    await new Promise((resolve) => socket.once('data', resolve));
    if (first) socket.write(maskedFrame(Buffer.from(first), 0x81));
    return socket;
  }
  function maskedFrame(payload: Buffer, first: number): Buffer {
    const head =
      payload.length < 126
        ? Buffer.from([first, 0x80 | payload.length])
        : Buffer.from([first, 0xfe, payload.length >> 8, payload.length & 255]);
    return Buffer.concat([head, Buffer.alloc(4), payload]);
  }

  test('whose client stops reading is closed with bounded memory', async () => {
    const { url, append, closeCodes, gateway, signIn, inbox } = await start({ options: { closeWithinMs: 300 } });
    const socket = await rawClient(url, JSON.stringify({ type: 'authenticate', token: await tokenFor('anna') }));
    const { client } = await signIn('anna');
    await waitFor(() => gateway.connections() === 2, { what: 'both clients' });
    socket.pause();
    const body = 'x'.repeat(16 * 1024);
    let sent = 0;
    while (gateway.connections() === 2 && sent < 3000) {
      await append('anna', 5, body);
      sent += 5;
      // The other client of the same user keeps up.
      const { offset } = await inbox.head('anna');
      await client.next((frame) => frame.type === 'notification' && frame.offset === offset);
    }
    await waitFor(() => closeCodes.length === 1, { what: 'the slow one to be closed', timeout: 15_000 });
    expect(closeCodes).toEqual([3008]);
    // 1 MiB here and what the kernel takes, far from all.
    expect(sent * body.length).toBeLessThan(48 * 1024 * 1024);
    expect(client.socket.readyState).toBe(WebSocket.OPEN);
    socket.destroy();
  });

  test('whose bytes do not leave in time is closed', async () => {
    const { url, append, closeCodes } = await start({ options: { maxBufferedBytes: 2 ** 30, maxUndrainedMs: 500, closeWithinMs: 200 } });
    const socket = await rawClient(url, JSON.stringify({ type: 'authenticate', token: await tokenFor('anna') }));
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    for (let i = 0; i < 100; i++) await append('anna', 5, 'x'.repeat(32 * 1024));
    await waitFor(() => closeCodes.length === 1, { what: 'the stuck one to be closed' });
    expect(closeCodes).toEqual([3008]);
    socket.destroy();
  });

  test('takes a page larger than its limit', async () => {
    const { signIn, append } = await start({ options: { maxBufferedBytes: 64 * 1024 } });
    await append('anna', 100, 'x'.repeat(30_000));
    const { client } = await signIn('anna');
    for (let i = 0; i < 3; i++) expect((await client.request({ type: 'getNotifications', limit: 100 })).data).toHaveLength(100);
  });

  test('sends all frames of a tick in one packet', async () => {
    const { url, inbox, append } = await start();
    const socket = await rawClient(url, JSON.stringify({ type: 'authenticate', token: await tokenFor('anna') }));
    await new Promise((resolve) => socket.once('data', resolve));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    await append('anna', 20);
    expect((await inbox.head('anna')).offset).toBe(20);
    await waitFor(() => Buffer.concat(chunks).includes('"offset":20'), { what: 'the last frame' });
    expect(chunks).toHaveLength(1);
    socket.destroy();
  });

  test('with a frame over 16 KiB is closed, by our server and by a lent one', async () => {
    const { connect, gateway } = await start();
    const client = await connect();
    client.send(`{"type":"authenticate","token":"${'x'.repeat(17 * 1024)}"}`);
    expect((await client.closed).code).toBe(3501);

    const lent = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    lent.on('connection', (ws) => gateway.accept(ws));
    await new Promise((resolve) => lent.once('listening', resolve));
    const other = await TestClient.connect(`ws://127.0.0.1:${(lent.address() as { port: number }).port}`);
    other.send(`{"type":"authenticate","token":"${'x'.repeat(17 * 1024)}"}`);
    expect((await other.closed).code).toBe(3501);
    lent.close();
  });

  test('with a frame of just 16 KiB is served', async () => {
    const { signIn } = await start();
    const { client } = await signIn('anna');
    const frame = JSON.stringify({ type: 'markAllAsRead', requestId: 1, pad: '' });
    client.send(frame.replace('""', `"${'x'.repeat(16 * 1024 - frame.length)}"`));
    expect(await client.next((received) => received.requestId === 1)).toMatchObject({ type: 'ok' });
  });

  test.each<[string, Buffer]>([
    ['an unmasked frame', Buffer.from([0x81, 0x02, 0x68, 0x69])],
    ['reserved bits', maskedFrame(Buffer.from('{}'), 0xf1)],
    ['an unknown opcode', maskedFrame(Buffer.from('{}'), 0x83)],
    ['text that is not UTF-8', maskedFrame(Buffer.from([0xff, 0xfe]), 0x81)],
    ['a continuation of nothing', maskedFrame(Buffer.from('x'), 0x80)],
    ['a ping that is too long', maskedFrame(Buffer.alloc(126), 0x89)],
    [
      'too many fragments',
      Buffer.concat([maskedFrame(Buffer.from('{'), 0x01), ...Array.from({ length: 40 }, () => maskedFrame(Buffer.from(' '), 0x00))]),
    ],
    ['a close frame with a bad code', maskedFrame(Buffer.from([0x00, 0x01]), 0x88)],
    ['a frame of 2^63 bytes', Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0])],
    ['garbage', Buffer.from('\x00\x01garbage, and no frame at all'.repeat(20))],
    ['half a frame and then nothing', Buffer.from([0x81])],
  ])('with %s harms nobody', async (name, bytes) => {
    const { url, signIn, gateway } = await start();
    const { client } = await signIn('bert');
    const socket = await rawClient(url, '');
    const received: Buffer[] = [];
    socket.on('data', (chunk) => received.push(chunk));
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.write(bytes);
    if (name.startsWith('half')) socket.destroy();
    else {
      const [told, close] = await waitFor(() => twoFrames(Buffer.concat(received)), { what: 'an error and the close' });
      expect(JSON.parse(String(told.payload))).toMatchObject({
        type: 'error',
        code: name.includes('2^63') ? 'PAYLOAD_TOO_LARGE' : 'BAD_MESSAGE',
      });
      expect(close.opcode).toBe(8);
      expect(close.payload.readUInt16BE(0)).toBe(3501);
    }
    await ended;
    await waitFor(() => gateway.connections() === 1, { what: 'the bad one to be forgotten' });
    expect(await client.request({ type: 'markAllAsRead' })).toMatchObject({ type: 'ok' });
  });

  test('is answered 426 when it asks by plain HTTP, and 400 when its handshake is bad', async () => {
    const { url } = await start();
    const http = url.replace('ws:', 'http:');
    const plain = await fetch(`${http}/anything`);
    expect(plain.status).toBe(426);
    expect(plain.headers.get('upgrade')).toBe('websocket');
    const socket = connectTcp(Number(new URL(url).port), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    const [answer] = (await new Promise((resolve) => socket.once('data', (data) => resolve([data])))) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 400 /);
    socket.destroy();
  });

  test('may connect on any path', async () => {
    const { url } = await start();
    const client = await TestClient.connect(`${url}/some/path?x=1`);
    expect(await client.authenticate(await tokenFor('anna'))).toMatchObject({ type: 'authenticated' });
    await client.close();
  });
});

describe('a socket attached without authentication', () => {
  /** The server's end of a connection of `ws`, and the client at its other end. */
  async function pair() {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((resolve) => server.once('listening', resolve));
    const accepted = new Promise<WebSocket>((resolve) => server.once('connection', resolve));
    const client = await TestClient.connect(`ws://127.0.0.1:${(server.address() as { port: number }).port}`);
    return { client, socket: await accepted, end: () => void [client.socket.terminate(), server.close()] };
  }

  test('hears what happens right after the call, and all that follows', async () => {
    const { gateway, append } = await start();
    const { client, socket, end } = await pair();
    await append('anna');
    gateway.attach('anna', socket);
    gateway.attach('anna', socket);
    await append('anna');
    await append('anna');
    await client.next((frame) => frame.offset === 3);
    await append('anna');
    await client.next((frame) => frame.type === 'unreadCount' && frame.offset === 4);
    expect(client.frames.map((frame) => [frame.type, frame.offset])).toEqual([
      ['notification', 2],
      ['unreadCount', 2],
      ['notification', 3],
      ['unreadCount', 3],
      ['notification', 4],
      ['unreadCount', 4],
    ]);
    end();
  });

  test('is left as it was when it is detached', async () => {
    const { gateway, append } = await start();
    const { client, socket, end } = await pair();
    const before = socket.eventNames().map((name) => [name, socket.listenerCount(name)]);
    gateway.attach('anna', socket);
    await append('anna');
    await client.next('notification');
    gateway.detach('anna', socket);
    expect(socket.eventNames().map((name) => [name, socket.listenerCount(name)])).toEqual(before);
    await append('anna');
    socket.send('{"type":"end"}');
    await client.next('end');
    expect(offsets(client)).toEqual([1]);
    expect(socket.readyState).toBe(WebSocket.OPEN);
    end();
  });

  test('stays subscribed through a store that was away', async () => {
    const inbox = memoryInbox();
    const { since } = inbox;
    let failures = 1;
    inbox.since = (...args) => (failures-- > 0 ? Promise.reject(new CarillonError('REDIS_UNAVAILABLE')) : since(...args));
    const { gateway, append } = await start({ inbox });
    const { client, socket, end } = await pair();
    gateway.attach('anna', socket);
    await append('anna');
    await client.next((frame) => frame.type === 'notification' && frame.offset === 1);
    end();
  });

  test('is closed when it takes nothing', async () => {
    const { gateway, append } = await start();
    const closed: number[] = [];
    const socket = { readyState: 1, bufferedAmount: 2 ** 24, send() {}, on() {}, close: (code: number) => void closed.push(code) };
    gateway.attach('anna', socket);
    await append('anna');
    await waitFor(() => closed.length === 1, { what: 'the close' });
    expect(closed).toEqual([3008]);
  });
});

describe('closing', () => {
  test('tells every client to come back, and takes no more', async () => {
    const { signIn, connect, gateway, listener, url, inbox } = await start();
    const { client } = await signIn('anna');
    const silent = await connect();
    await listener.close();
    await Promise.all([gateway.close({ deadlineMs: 1000 }), gateway.close({ deadlineMs: 1000 })]);
    expect((await client.closed).code).toBe(3001);
    expect((await silent.closed).code).toBe(3001);
    await expect(TestClient.connect(url)).rejects.toThrow();
    await inbox.close();
  });

  test('does not wait longer for clients than its deadline', async () => {
    const { url, gateway, closeCodes } = await start();
    const socket = connectTcp(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    await waitFor(() => gateway.connections() === 1, { what: 'the connection' });
    const before = performance.now();
    await gateway.close({ deadlineMs: 300 });
    expect(performance.now() - before).toBeLessThan(2000);
    await waitFor(() => closeCodes.length === 1, { what: 'the cut' });
    expect(closeCodes).toEqual([3001]);
    socket.destroy();
  });

  test('a gateway that was never used closes at once', async () => {
    const parts = {
      inbox: memoryInbox(),
      verify: async () => ({ userId: 'u', expiresAt: 0 }),
      revocations: { since: async () => [0] },
      audit: noAudit,
      markAsRead: async () => {},
      markAllAsRead: async () => {},
      seats: { take: async () => true, giveBack() {} },
    };
    const { noLog, noMetrics } = await import('@carillon/service');
    await createGateway({ ...parts, log: noLog, metrics: noMetrics }).close({ deadlineMs: 10_000 });
  });
});
