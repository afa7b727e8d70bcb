import { startRedis, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { count } from './counts.js';
import { Acknowledged, ask, end, endings, greet, hello, openStores, signIn, startRole, startStandalone } from './system.js';

const later = endings();
/** Milliseconds a process has to stop: orchestrators kill after 30 s. */
const DEADLINE = 25_000;
const ROUNDS = count(1, 5);

test('told to stop under load, main.js ends with code 0, sockets with 3001, and what was acknowledged arrives after the next start', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  const place = { redisUrl: redis.url };
  const stores = await openStores(place);
  later(() => stores.close());
  await stores.templates.register(hello);
  const acknowledged = new Acknowledged();
  const statuses = new Set<number>();

  for (let round = 0; round < ROUNDS; round++) {
    const { process, http, sockets } = await startStandalone(place);
    later(() => end(process));
    const { client } = await signIn(sockets, 'watcher');
    let isGone = false;
    const caller = async (n: number) => {
      while (!isGone) {
        const userId = `user ${n}`;
        const notifications = Array.from({ length: 5 }, () => greet(userId, 'x'));
        const answer = await ask(`${http}/v1/notifications/bulk`, 'POST', { notifications }).catch(() => undefined);
        if (answer) statuses.add(answer.status);
        for (const result of answer?.body?.results ?? []) if (result.ok) acknowledged.add(userId, result.id);
      }
    };
    const load = Promise.all(Array.from({ length: 8 }, (_, n) => caller(n + 8 * round)));
    const before = acknowledged.size;
    await waitFor(() => acknowledged.size > before + 200, { what: 'load' });
    const toldAt = Date.now();
    process.kill('SIGTERM');
    expect(await process.exited).toEqual({ code: 0, signal: null });
    expect(Date.now() - toldAt).toBeLessThan(DEADLINE);
    isGone = true;
    await load;
    expect(await client.closed).toEqual({ code: 3001, reason: 'shutting down' });
    expect(process.output()).not.toMatch(/"level":"(error|fatal)"/);
  }
  expect([...statuses].filter((status) => status !== 202 && status !== 503)).toEqual([]);

  const next = await startStandalone(place);
  later(() => end(next.process));
  await waitFor(() => acknowledged.hasArrived(stores.inbox), { timeout: 60_000, what: 'all that was acknowledged' });
  await waitFor(() => stores.views.idle(['render', 'in_app']), { timeout: 60_000, what: 'the queues to be worked off' });
  await acknowledged.expectOnce(stores.inbox);
});

test('every role told to stop while it waits ends with code 0', async () => {
  const redis = await startRedis();
  later(() => redis.stop());
  for (const role of ['renderer', 'in-app', 'gateway', 'standalone'] as const) {
    const process = startRole(role, { redisUrl: redis.url }, { NOTIFICATION_ADMIN_PORT: '0' });
    later(() => end(process));
    const [line] = await process.ready(/^.*admin server listening.*$/m);
    const { port } = JSON.parse(line) as { port: number };
    await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200, { what: `${role} to be ready` });
    process.kill('SIGTERM');
    expect([role, await process.exited]).toEqual([role, { code: 0, signal: null }]);
    expect(process.output()).not.toMatch(/"level":"(error|fatal)"/);
  }
});
