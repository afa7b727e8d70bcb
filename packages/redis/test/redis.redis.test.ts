import { createRedis, loadScript, type Redis } from '@carillon/redis';
import { startCluster, startRedis, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

// Increments a counter per item and answers its new value; a key of another type makes the script break.
const count = loadScript(new URL('./count.lua', import.meta.url));
const call = (name: string) => ({ keys: [`t:{${name}}`], args: [1] });

describe('on one Redis', () => {
  let server: Awaited<ReturnType<typeof startRedis>>;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = await createRedis({ url: server.url }, { prefix: 'p:', temper: 'prompt' });
  });
  afterAll(async () => {
    await redis.close();
    await server.stop();
  });

  test('a batch answers for each item, in order, one at fault alone', async () => {
    await redis.command('HSET', 't:{bad}', 'f', 'v');
    const outcomes = await redis.batch<number>(count, [], ['a', 'bad', 'b', 'a'].map(call));
    expect(outcomes.map((outcome) => outcome.ok)).toEqual([true, false, true, true]);
  });

  test('scripts survive being forgotten by Redis', async () => {
    await redis.command('SCRIPT', 'FLUSH');
    expect(await redis.run<number[]>(count, { keys: ['t:{s}'], args: [1, 1] })).toEqual([1]);
  });

  test('`auto` finds out that this is no cluster', async () => {
    const auto = await createRedis({ url: server.url, cluster: 'auto' }, { prefix: 'p:', temper: 'prompt' });
    expect(auto.cluster).toBe(false);
    await auto.close();
  });

  test('a prompt connection fails at once while Redis is away, a patient one waits for it', async () => {
    const patient = await createRedis({ url: server.url }, { prefix: 'p:', temper: 'patient' });
    await server.kill();
    await waitFor(() => !redis.isReady(), { what: 'the loss to be noticed' });
    await expect(redis.command('GET', 'x')).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    const waiting = patient.command('SET', 'x', 'y');
    await server.restart();
    expect(await waiting).toBe('OK');
    await waitFor(() => redis.isReady(), { what: 'the prompt connection to be back' });
    await patient.close();
  });

  test('an address where nobody answers is refused in time', async () => {
    await expect(createRedis({ url: 'redis://127.0.0.1:1' }, { prefix: 'p:', temper: 'prompt' })).rejects.toMatchObject({
      code: 'REDIS_UNAVAILABLE',
    });
  });
});

describe('on a cluster of three', () => {
  let cluster: Awaited<ReturnType<typeof startCluster>>;
  let redis: Redis;
  beforeAll(async () => {
    cluster = await startCluster(3);
    redis = await createRedis({ url: cluster.urls[0] as string, cluster: 'auto' }, { prefix: 'p:', temper: 'prompt' });
  });
  afterAll(async () => {
    await redis.close();
    await cluster.close();
  });

  test('`auto` finds out that this is one', () => {
    expect(redis.cluster).toBe(true);
  });

  test('a batch over all slots reaches every item once', async () => {
    const names = Array.from({ length: 300 }, (_, i) => `item-${i % 150}`);
    const outcomes = await redis.batch<number>(count, [], names.map(call));
    expect(outcomes.every((outcome) => outcome.ok)).toBe(true);
    for (let i = 0; i < 150; i++) expect(await redis.command('GET', `t:{item-${i}}`)).toBe('2');
  });

  test('messages reach subscribers wherever the channel lives', async () => {
    const subscriber = await redis.subscriber();
    const heard: string[] = [];
    subscriber.onMessage((channel, message) => heard.push(`${channel} ${message}`));
    const channels = Array.from({ length: 20 }, (_, i) => `c:{${i}}`);
    for (const channel of channels) await subscriber.subscribe(channel);
    for (const channel of channels) await redis.command('SPUBLISH', channel, 'hello');
    await waitFor(() => heard.length === channels.length, { what: 'all messages' });
    expect(heard.sort()).toEqual(channels.map((channel) => `${channel} hello`).sort());
    await subscriber.unsubscribe(channels[0] as string);
    await redis.command('SPUBLISH', channels[0] as string, 'unheard');
    await redis.command('SPUBLISH', channels[1] as string, 'heard');
    await waitFor(() => heard.length === channels.length + 1, { what: 'the last message' });
    await subscriber.close();
  });
});
