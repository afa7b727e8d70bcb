import { type ErrorCode, toCarillonError } from '@carillon/contracts';
import { askRedis } from '@carillon/embedded';
import { startRedis, TestClient, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { count } from './counts.js';
import { Acknowledged, end, endings, greet, hello, newIdsOf, openStores, startGateway, startRole, tokenFor } from './system.js';

const later = endings();
const OUTAGES = count(2, 10);
/** Milliseconds a caller waits at most to hear that Redis is away: the time a command may go unanswered and a little. */
const REFUSED_WITHIN = 6000;
/** Milliseconds to the first notification delivered after Redis answers again. */
const PROGRESS_WITHIN = 5000;
const USERS = 20;

/** A client that comes back whenever its socket closes, with its position, and notes what it hears. */
function follow(url: string, userId: string) {
  const ids: string[] = [];
  const unrecovered: unknown[] = [];
  let stopped = false;
  let current: TestClient | undefined;
  let visits = 0;
  const visit = async (position: { epoch?: string; offset?: number }) => {
    const client = await TestClient.connect(url);
    current = client;
    visits++;
    const answer = await client.authenticate(await tokenFor(userId), position);
    if (position.epoch !== undefined && answer.data?.recovered === false) unrecovered.push(answer);
    await client.closed;
    ids.push(...newIdsOf(client));
    const offset = client.frames.findLast((frame) => frame.type !== 'error' && frame.offset !== undefined)?.offset;
    return answer.data ? { epoch: answer.data.epoch as string, offset: offset as number } : position;
  };
  const following = (async () => {
    let position = {};
    while (!stopped) position = await visit(position).catch(() => position);
  })();
  return {
    heard: () => [...ids, ...(current && current.socket.readyState === current.socket.OPEN ? newIdsOf(current) : [])],
    unrecovered,
    visits: () => visits,
    async stop() {
      stopped = true;
      current?.socket.close();
      await following;
    },
  };
}

test('Redis killed and started again under load: nothing acknowledged is lost, callers hear at once, all heals by itself', async () => {
  // A server that syncs lazily may lose what it acknowledged in its last second; what is tested here is ours.
  const redis = await startRedis({ config: ['appendfsync always'] });
  later(() => redis.stop());
  const place = { redisUrl: redis.url };
  const stores = await openStores(place);
  later(() => stores.close());
  await stores.templates.register(hello);
  const workers = [startRole('renderer', place), startRole('in-app', place)];
  later(() => Promise.all(workers.map(end)));
  const gateway = await startGateway(place);
  later(() => end(gateway.process));
  const listener = follow(gateway.url, 'user 0');
  later(() => listener.stop());
  await waitFor(() => listener.visits() > 0, { what: 'the socket' });

  const acknowledged = new Acknowledged();
  const refusals: { code: ErrorCode; ms: number }[] = [];
  let stopped = false;
  let queued = 0;
  const caller = async () => {
    while (!stopped) {
      const userId = `user ${queued++ % USERS}`;
      const since = Date.now();
      try {
        acknowledged.add(userId, await stores.producer.queueNotification(greet(userId, `${queued}`)));
      } catch (error) {
        refusals.push({ code: toCarillonError(error).code, ms: Date.now() - since });
      }
      // A load, not a flood: the log of a user is to hold all of it.
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };
  const load = Promise.all(Array.from({ length: 5 }, caller));

  const progress: number[] = [];
  for (let outage = 0; outage < OUTAGES; outage++) {
    const before = acknowledged.size;
    await waitFor(() => acknowledged.size > before + 100, { what: 'load' });
    const refused = refusals.length;
    await redis.kill();
    await waitFor(() => refusals.length > refused, { what: 'callers to be refused' });
    await redis.restart();
    await askRedis(redis, 'PING');
    const answered = Date.now();
    const offsets = async () =>
      (await Promise.all(Array.from({ length: USERS }, (_, i) => stores.inbox.head(`user ${i}`)))).map((h) => h.offset);
    const sum = (list: number[]) => list.reduce((total, offset) => total + offset, 0);
    const at = await waitFor(async () => sum(await offsets()) + 1, { timeout: 15_000, what: 'our own connection to be back' });
    await waitFor(async () => sum(await offsets()) >= at, { timeout: 30_000, what: 'the first progress' });
    progress.push(Date.now() - answered);
  }
  stopped = true;
  await load;

  expect(
    [...new Set(refusals.map(({ code }) => code))].filter((code) => code !== 'QUEUE_UNAVAILABLE' && code !== 'QUEUE_OUTCOME_UNKNOWN'),
  ).toEqual([]);
  expect(Math.max(...refusals.map(({ ms }) => ms))).toBeLessThan(REFUSED_WITHIN);
  expect(Math.max(...progress)).toBeLessThanOrEqual(PROGRESS_WITHIN);

  await waitFor(() => acknowledged.hasArrived(stores.inbox), { timeout: 60_000, what: 'all that was acknowledged' });
  await waitFor(() => stores.views.idle(['render', 'in_app']), { timeout: 60_000, what: 'the queues to be worked off' });
  await acknowledged.expectOnce(stores.inbox);

  // The socket heals: its user heard all of it once, in order, and hears what comes next.
  const last = await stores.producer.queueNotification(greet('user 0', 'last'));
  await waitFor(() => listener.heard().includes(last), { timeout: 40_000, what: 'the last notification on the socket' });
  const head = await stores.inbox.head('user 0');
  const log = await stores.inbox.since('user 0', { epoch: head.epoch, offset: 0 });
  if (!log.recovered) throw new Error('the log cannot be had');
  expect(listener.unrecovered).toEqual([]);
  expect(listener.heard()).toEqual(log.changes.flatMap((change) => (change.event === 'new' ? [change.notification.id] : [])));
});

test('callers hear at once that Redis is away, with a cold cache too, and hear of a silent one in time', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const place = { redisUrl: redis.url };
  const first = await openStores(place);
  await first.templates.register(hello);
  await first.close();
  const [cold, warm] = [await openStores(place), await openStores(place)];
  for (const stores of [cold, warm]) later(() => stores.close());
  await warm.producer.queueNotification(greet('ann', 'x'));
  const refusal = async (stores: typeof cold) => {
    const since = Date.now();
    const error = await stores.producer.queueNotification(greet('ann', 'x')).catch(toCarillonError);
    return { code: typeof error === 'string' ? 'none' : error.code, ms: Date.now() - since };
  };

  redis.pause();
  const silent = await Promise.all([refusal(cold), refusal(warm)]);
  redis.resume();
  await redis.kill();
  await waitFor(() => !cold.redis.isReady() && !warm.redis.isReady(), { what: 'the loss to be noticed' });
  const away = await Promise.all([refusal(cold), refusal(warm)]);
  for (const { code } of silent) expect(['QUEUE_UNAVAILABLE', 'QUEUE_OUTCOME_UNKNOWN']).toContain(code);
  expect(away.map(({ code }) => code)).toEqual(['QUEUE_UNAVAILABLE', 'QUEUE_UNAVAILABLE']);
  for (const { ms } of silent) expect(ms).toBeLessThan(REFUSED_WITHIN);
  for (const { ms } of away) expect(ms).toBeLessThan(REFUSED_WITHIN);

  await redis.restart();
  for (const stores of [cold, warm]) {
    await waitFor(async () => (await refusal(stores)).code === 'none', { what: 'callers to be served again' });
  }
});
