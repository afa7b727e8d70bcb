import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ChannelItem } from '@carillon/contracts';
import type { Channel } from './channel.js';

/** A channel under test, and what its recipients have received. */
export interface ChannelUnderTest {
  readonly channel: Channel;
  /** Ids of the notifications a user has received, each as often as it was shown. */
  received(userId: string): Promise<string[]>;
}

/** One case of the suite: `for (const { name, run } of channelConformance(make)) test(name, run)`. */
export interface ConformanceCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** What makes a channel: a suite over `deliver`, to be run with whatever test runner. `make` gives a fresh or a shared channel. */
export function channelConformance(make: () => Promise<ChannelUnderTest>): ConformanceCase[] {
  const attempt = { number: 1, signal: new AbortController().signal };
  const item = (channel: Channel, userId = `user ${randomUUID()}|x`): ChannelItem => ({
    id: randomUUID(),
    userId,
    templateId: 'conformance',
    priority: 'normal',
    channels: ['in_app'],
    createdAt: Date.now(),
    content: Object.fromEntries(Object.keys(channel.definition.content).map((field) => [field, `text of ${field} 🔔`])),
    ...(channel.definition.carriesData && { data: { key: 'value' } }),
  });
  const check = (name: string, run: (under: ChannelUnderTest) => Promise<void>): ConformanceCase => ({
    name,
    run: async () => run(await make()),
  });

  return [
    check('delivers a full job and answers for each item, in order', async ({ channel, received }) => {
      const items = Array.from({ length: channel.definition.itemsPerJob }, () => item(channel));
      const results = await channel.deliver(items, attempt);
      assert.equal(results.length, items.length);
      assert.ok(results.every((result) => result.ok));
      for (const { id, userId } of items) assert.deepEqual(await received(userId), [id]);
    }),
    check('delivering an item again shows it once', async ({ channel, received }) => {
      const once = item(channel);
      await channel.deliver([once], attempt);
      const [again] = await channel.deliver([once], { ...attempt, number: 2 });
      assert.ok(again?.ok, 'a repeat is a success');
      assert.deepEqual(await received(once.userId), [once.id]);
    }),
    check('the same item twice at the same time shows once', async ({ channel, received }) => {
      const once = item(channel);
      await Promise.all([channel.deliver([once], attempt), channel.deliver([once], attempt)]);
      assert.deepEqual(await received(once.userId), [once.id]);
    }),
    check('an empty job is answered with nothing', async ({ channel }) => {
      assert.deepEqual(await channel.deliver([], attempt), []);
    }),
    check('gives every user their own', async ({ channel, received }) => {
      const [one, other] = [item(channel), item(channel)];
      await channel.deliver([one], attempt);
      await channel.deliver([other], attempt);
      assert.deepEqual(await received(one.userId), [one.id]);
      assert.deepEqual(await received(other.userId), [other.id]);
    }),
  ];
}
