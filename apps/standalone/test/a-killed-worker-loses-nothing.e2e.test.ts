import { startRedis, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { count } from './counts.js';
import { Acknowledged, end, endings, greet, hello, openStores, startRole } from './system.js';

const later = endings();
const NOTIFICATIONS = count(2000, 20_000);
/** Kills that hit a worker in the middle of a job. */
const KILLS = count(3, 20);
const USERS = count(40, 100);

test('renderers and in-app workers killed in the middle of their batches lose and repeat nothing', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const place = { redisUrl: redis.url };
  const stores = await openStores(place);
  later(() => stores.close());
  await stores.templates.register(hello);

  const running = { renderer: startRole('renderer', place), 'in-app': startRole('in-app', place) };
  later(() => Promise.all(Object.values(running).map(end)));
  const acknowledged = new Acknowledged();
  let next = 0;
  const queueSome = async (size: number) => {
    const requests = Array.from({ length: size }, () => greet(`user ${next++ % USERS}`, `${next}`));
    const results = await stores.producer.queueNotifications(requests);
    results.forEach((result, i) => {
      if (!result.ok) throw result.error;
      acknowledged.add(requests[i]?.userId as string, result.id);
    });
  };
  const active = async (stage: string) =>
    (await stores.views.queues.find(({ name }) => name === `${stage}-0`)?.getJobCounts('active'))?.active ?? 0;

  /** Queues until this stage has a job under way, kills its worker, starts it again; answers whether a job was left behind. */
  const killInTheMiddle = async (role: 'renderer' | 'in-app', stage: string) => {
    const queueing = queueSome(100);
    const hit = await waitFor(async () => (await active(stage)) > 0, { timeout: 30_000, what: `${role} at work` }).catch(() => false);
    await end(running[role]);
    running[role] = startRole(role, place);
    const left = hit ? await active(stage) : 0;
    await queueing;
    return left > 0;
  };
  for (const [role, stage] of [
    ['renderer', 'render'],
    ['in-app', 'in_app'],
  ] as const) {
    let hits = 0;
    while (hits < KILLS) if (await killInTheMiddle(role, stage)) hits++;
  }
  while (acknowledged.size < NOTIFICATIONS) await queueSome(Math.min(100, NOTIFICATIONS - acknowledged.size));

  await waitFor(() => acknowledged.hasArrived(stores.inbox), { timeout: count(60_000, 600_000), what: 'all that was acknowledged' });
  await waitFor(() => stores.views.idle(['render', 'in_app']), { timeout: 60_000, what: 'the queues to be worked off' });
  await acknowledged.expectOnce(stores.inbox);
  for (const [userId, ids] of acknowledged.byUser) expect((await stores.inbox.head(userId)).offset).toBe(ids.length);
  for (const queue of stores.views.queues) expect([queue.name, await queue.getFailed()]).toEqual([queue.name, []]);
});
