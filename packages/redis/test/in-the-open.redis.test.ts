import { createRedis, loadScript, serverFacts } from '@carillon/redis';
import { type SecureRedis, startCluster, startRedis, startSecureRedis } from '@carillon/testkit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const count = loadScript(new URL('./count.lua', import.meta.url));
const options = { prefix: 'p:', temper: 'prompt' } as const;

describe('a Redis with TLS and users', () => {
  let server: SecureRedis;
  let url: string;
  beforeAll(async () => {
    server = await startSecureRedis({
      config: [
        'user worker on >pass:/@word ~p:* &p:* +@all -@dangerous +info',
        'user blind on >pass ~p:* &p:* +@all -@dangerous',
        'maxmemory-policy allkeys-lru',
      ],
    });
    url = `${server.secureUrl('worker', 'pass:/@word')}?ca=${server.caFile}`;
  });
  afterAll(() => server.stop());

  test('is spoken to by the name of a user, whose rights hold inside scripts too', async () => {
    const redis = await createRedis({ url }, options);
    expect(await redis.command('ACL', 'WHOAMI')).toBe('worker');
    expect(await redis.run(count, { keys: ['p:a'], args: [1, 1] })).toEqual([1]);
    await expect(redis.run(count, { keys: ['other:a'], args: [1, 1] })).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(redis.command('CONFIG', 'GET', 'maxmemory-policy')).rejects.toMatchObject({ code: 'INTERNAL' });
    const subscriber = await redis.subscriber();
    await subscriber.subscribe('p:channel');
    await expect(subscriber.subscribe('other:channel')).rejects.toMatchObject({ code: 'INTERNAL' });
    await subscriber.close();
    await redis.close();
  });

  test('is not believed without its authority, and not by a wrong one', async () => {
    const plain = server.secureUrl('worker', 'pass:/@word');
    await expect(createRedis({ url: plain }, options)).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    await expect(createRedis({ url: `${plain}?ca=/nowhere.pem` }, options)).rejects.toMatchObject({ code: 'CONFIGURATION_INVALID' });
  });

  test('tells what it is without CONFIG, and nothing to who may not ask', async () => {
    expect(await serverFacts({ url })).toEqual({ version: expect.stringMatching(/^\d+\./), evictionPolicy: 'allkeys-lru', tls: true });
    const blind = `${server.secureUrl('blind', 'pass')}?ca=${server.caFile}`;
    expect(await serverFacts({ url: blind })).toEqual({ version: undefined, evictionPolicy: undefined, tls: true });
  });
});

test('of a cluster, one node that may evict is told', async () => {
  const cluster = await startCluster(3);
  const address = { url: cluster.urls[0] as string, cluster: 'auto' } as const;
  expect(await serverFacts(address)).toMatchObject({ evictionPolicy: 'noeviction', tls: false });
  const last = await createRedis({ url: cluster.urls[2] as string }, options);
  await last.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl');
  expect(await serverFacts(address)).toMatchObject({ evictionPolicy: 'volatile-ttl' });
  await last.close();
  await cluster.close();
});

test('a plain one says noeviction if that is what holds', async () => {
  const server = await startRedis();
  expect(await serverFacts({ url: server.url })).toMatchObject({ evictionPolicy: 'noeviction', tls: false });
  await server.stop();
});
