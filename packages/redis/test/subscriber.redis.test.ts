import { createRedis, type Pulse, type Redis, type Subscriber } from '@carillon/redis';
import { startCluster, startRedis, type TestRedis, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

/** Quick enough to wait for, slow enough for a busy machine. */
const QUICK: Pulse = { everyMs: 1000, withinMs: 2000 };
const CHANNELS = Array.from({ length: 500 }, (_, i) => `c:{${i}}`);

const places = {
  'one Redis': async () => {
    const server = await startRedis();
    return { url: server.url, nodes: [server], stop: () => server.stop() };
  },
  'a cluster of three': async () => {
    const cluster = await startCluster(3);
    return { url: cluster.urls.join(','), nodes: cluster.nodes, stop: () => cluster.close() };
  },
};

/** A subscriber, what it heard by channel, and how often it told of a gap. */
async function listen(redis: Redis, pulse?: Pulse) {
  const subscriber = await redis.subscriber(pulse);
  const heard = new Map<string, string[]>();
  let gaps = 0;
  subscriber.onMessage((channel, message) => void heard.set(channel, [...(heard.get(channel) ?? []), message]));
  subscriber.onGap(() => {
    gaps++;
  });
  return { subscriber, heard, gaps: () => gaps };
}

const publish = (redis: Redis, channel: string, message: string) =>
  redis.command<number>(redis.cluster ? 'SPUBLISH' : 'PUBLISH', channel, message);

/** Publishes one more message on each channel and gives those on which it was not heard. */
async function deaf(redis: Redis, heard: Map<string, string[]>, channels: readonly string[], message: string): Promise<string[]> {
  await Promise.all(channels.map((channel) => publish(redis, channel, message)));
  const missing = () => channels.filter((channel) => !heard.get(channel)?.includes(message));
  await waitFor(() => missing().length === 0, { timeout: 3000, what: 'all to be heard' }).catch(() => {});
  return missing();
}

/** A connection of its own to one node, past any cluster. */
async function talkTo(node: TestRedis) {
  return createRedis({ url: node.url }, { prefix: 'p:', temper: 'prompt' });
}

async function onEach(nodes: readonly TestRedis[], ...command: [string, ...string[]]): Promise<void> {
  for (const node of nodes) {
    const direct = await talkTo(node);
    await direct.command(...command);
    await direct.close();
  }
}

describe.each(Object.entries(places))('a subscriber on %s', (_, start) => {
  let place: Awaited<ReturnType<typeof start>>;
  let redis: Redis;
  beforeAll(async () => {
    place = await start();
    redis = await createRedis({ url: place.url }, { prefix: 'p:', temper: 'prompt' });
  });
  afterAll(async () => {
    await redis.close();
    await place.stop();
  });

  test('tells of a gap when its connections were cut, once everything is heard again', async () => {
    const { subscriber, heard, gaps } = await listen(redis);
    const channels = CHANNELS.slice(0, 30);
    await Promise.all(channels.map((channel) => subscriber.subscribe(channel)));
    expect(await deaf(redis, heard, channels, 'before')).toEqual([]);
    expect(gaps()).toBe(0);
    for (let cut = 0; cut < 3; cut++) {
      const before = gaps();
      await onEach(place.nodes, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
      await waitFor(() => gaps() > before, { timeout: 5000, what: 'the gap to be told' });
    }
    // Nodes come back one by one, each with a gap of its own.
    const settled = async () => (await deaf(redis, heard, channels, `after ${Date.now()}`)).length === 0;
    await waitFor(settled, { timeout: 5000, what: 'all to be heard again' });
    await subscriber.close();
  });

  test('notices that a node has fallen silent, and is back when that is', async () => {
    const { subscriber, heard, gaps } = await listen(redis, QUICK);
    await Promise.all(CHANNELS.slice(0, 30).map((channel) => subscriber.subscribe(channel)));
    const node = place.nodes[0] as TestRedis;
    const direct = await talkTo(node);
    const [own] = (await direct.command<string[]>('PUBSUB', redis.cluster ? 'SHARDCHANNELS' : 'CHANNELS', 'c:*')) as [string];
    const connections = async () => (await direct.command<string>('CLIENT', 'LIST', 'TYPE', 'pubsub')).match(/^id=\d+/gm);
    const [before] = (await connections()) as [string];
    node.pause();
    // Without another sign of life than this: nothing closes the connection for it.
    await new Promise((resolve) => setTimeout(resolve, QUICK.everyMs + QUICK.withinMs + 2000));
    node.resume();
    await waitFor(() => gaps() > 0, { what: 'the gap to be told' });
    expect(await deaf(redis, heard, [own], 'again')).toEqual([]);
    await waitFor(async () => !(await connections())?.includes(before), { what: 'the old connection to be gone' });
    await subscriber.close();
    await direct.close();
  });

  test('no channel is deaf after 500 that come and go while connections are cut ten times', async () => {
    const { subscriber, heard, gaps } = await listen(redis);
    const wanted = new Set<string>();
    let isChurning = true;
    const churn = async (channels: readonly string[]) => {
      for (let i = 0; isChurning; i++) {
        const channel = channels[i % channels.length] as string;
        if (wanted.delete(channel)) await subscriber.unsubscribe(channel);
        else {
          wanted.add(channel);
          await subscriber.subscribe(channel);
        }
      }
    };
    const hands = Array.from({ length: 10 }, (_, i) => churn(CHANNELS.slice(50 * i, 50 * i + 50)));
    for (let cut = 0; cut < 10; cut++) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      await onEach(place.nodes, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
    }
    isChurning = false;
    await Promise.all(hands);
    await waitFor(() => gaps() > 0, { what: 'gaps to be told' });
    await Promise.all([...wanted].map((channel) => subscriber.subscribe(channel)));
    expect(wanted.size).toBeGreaterThan(0);
    expect(await deaf(redis, heard, [...wanted], 'quiet')).toEqual([]);
    const unwanted = CHANNELS.filter((channel) => !wanted.has(channel));
    expect((await Promise.all(unwanted.map((channel) => publish(redis, channel, 'unheard')))).reduce((a, b) => a + b, 0)).toBe(0);
    await subscriber.close();
  });

  test('one that is closed rejects what still waits and what comes later, and leaves no connection', async () => {
    const { subscriber } = await listen(redis);
    const waiting = subscriber.subscribe('c:never');
    await subscriber.close();
    await expect(waiting).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    // Who comes too late opens none.
    await expect(subscriber.subscribe('c:late')).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    for (const node of place.nodes) {
      const direct = await talkTo(node);
      // The clients of a cluster keep one themselves.
      const count = async () =>
        (await direct.command<string>('CLIENT', 'LIST', 'TYPE', 'pubsub')).match(/ sub=0 psub=0 ssub=[1-9]| sub=[1-9]/g);
      await waitFor(async () => (await count()) === null, { what: 'no subscriber to be left' });
      await direct.close();
    }
  });
});

async function withSubscriberOn(nodes: readonly TestRedis[], body: (redis: Redis, subscriber: Subscriber) => Promise<void>) {
  const redis = await createRedis({ url: nodes.map(({ url }) => url).join(',') }, { prefix: 'p:', temper: 'prompt' });
  const subscriber = await redis.subscriber();
  try {
    await body(redis, subscriber);
  } finally {
    await subscriber.close();
    await redis.close();
  }
}

test('follows channels whose slots move to another node', async () => {
  const cluster = await startCluster(3);
  await withSubscriberOn(cluster.nodes, async (redis, subscriber) => {
    const heard = new Map<string, string[]>();
    let gaps = 0;
    subscriber.onMessage((channel, message) => void heard.set(channel, [...(heard.get(channel) ?? []), message]));
    subscriber.onGap(() => {
      gaps++;
    });
    const channels = CHANNELS.slice(0, 20);
    await Promise.all(channels.map((channel) => subscriber.subscribe(channel)));
    const direct = await Promise.all(cluster.nodes.map(talkTo));
    const ids = await Promise.all(direct.map((node) => node.command<string>('CLUSTER', 'MYID')));
    for (const channel of channels) {
      const slot = await (direct[0] as Redis).command<number>('CLUSTER', 'KEYSLOT', channel);
      // Every slot goes to the third node; the new owner is told first.
      for (const at of [2, 0, 1]) await direct[at]?.command('CLUSTER', 'SETSLOT', slot, 'NODE', ids[2] as string);
    }
    await waitFor(() => gaps > 0, { what: 'the gap to be told' });
    await waitFor(async () => (await deaf(redis, heard, channels, `moved ${Date.now()}`)).length === 0, {
      what: 'all to be heard at the new node',
    });
    expect(await direct[2]?.command<string[]>('PUBSUB', 'SHARDCHANNELS', 'c:*')).toHaveLength(channels.length);
    await Promise.all(direct.map((node) => node.close()));
  });
  await cluster.close();
});

test('hears again within seconds after a replica has taken over for its dead primary', async () => {
  const cluster = await startCluster(3, { replicas: 1 });
  await withSubscriberOn(cluster.nodes.slice(0, 3), async (redis, subscriber) => {
    const heard = new Map<string, string[]>();
    let gaps = 0;
    subscriber.onMessage((channel, message) => void heard.set(channel, [...(heard.get(channel) ?? []), message]));
    subscriber.onGap(() => {
      gaps++;
    });
    const channels = CHANNELS.slice(0, 30);
    await Promise.all(channels.map((channel) => subscriber.subscribe(channel)));
    await cluster.nodes[0]?.kill();
    const isServed = async () => (await Promise.all(channels.map((channel) => publish(redis, channel, 'up')))).length > 0;
    await waitFor(isServed, { timeout: 20_000, what: 'the cluster to be whole again' });
    const since = Date.now();
    await waitFor(async () => (await deaf(redis, heard, channels, `after ${Date.now()}`)).length === 0, { what: 'all to be heard again' });
    expect(Date.now() - since).toBeLessThan(8000);
    expect(gaps).toBeGreaterThan(0);
  });
  await cluster.close();
});
