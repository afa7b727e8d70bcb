import { askRedis } from '@carillon/embedded';
import { startCluster, startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

test('a server comes back on its port with its data, after SIGKILL and after a stop', async () => {
  const { url, pid } = redis;
  await askRedis(redis, 'SET', 'kept', 'yes');
  await redis.kill();
  await expect(askRedis(redis, 'PING')).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
  await redis.restart();
  expect(redis.url).toBe(url);
  expect(redis.pid).not.toBe(pid);
  expect(await askRedis(redis, 'GET', 'kept')).toBe('yes');
  await redis.restart();
  expect(await askRedis(redis, 'GET', 'kept')).toBe('yes');
});

test('a frozen server answers when it is let go on', async () => {
  redis.pause();
  const answer = askRedis(redis, 'PING');
  const early = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200, 'silence'))]);
  expect(early).toBe('silence');
  redis.resume();
  expect(await answer).toBe('PONG');
});

test('a cluster serves all slots, each on one node', async () => {
  const cluster = await startCluster(3);
  try {
    const answers = await Promise.allSettled(cluster.nodes.map((node) => askRedis(node, 'SET', '{one slot}', 'x')));
    expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1);
  } finally {
    await cluster.close();
  }
});

test('waitFor names what it waited for in vain', async () => {
  await expect(waitFor(() => false, { timeout: 50, what: 'rain' })).rejects.toThrow('rain');
});
