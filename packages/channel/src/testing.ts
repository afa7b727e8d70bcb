import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type Address, type AddressKind, type ChannelItem, channelDefinition, channelNames } from '@carillon/contracts';
import type { Channel } from './channel.js';
import type { Message, Provider, Sent } from './provider.js';
import { messageFor } from './provider-channel.js';

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
  const attempt = { number: 1, fresh: true, redriven: false, signal: never };
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
      const items = Array.from({ length: Math.max(...Object.values(channel.definition.addresses)) }, () => item(channel));
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

/** A signal that is never given. */
export const never: AbortSignal = new AbortController().signal;

/** What became of messages: `sent`, or the error's code. */
export const outcomes = (sent: readonly Sent[]): string[] => sent.map((one) => (one.ok ? 'sent' : one.error.code));

/** A message to an address as the channel makes it, of a new notification unless `item` has its id, with all content its channel has. */
export function messageTo(to: Address, item: Partial<ChannelItem> = {}): Message {
  const name = channelNames.find((channel) => to.kind in channelDefinition(channel).addresses) ?? 'in_app';
  const fields = Object.keys(channelDefinition(name).content);
  const content = Object.fromEntries(fields.map((field) => [field, `text of ${field}`]));
  const about = { id: randomUUID(), userId: 'ann', templateId: 'conformance', createdAt: Date.now() };
  return messageFor({ ...about, priority: 'normal', channels: [name], content, ...item, to });
}

/** A provider under test, and the other side of it. */
export interface ProviderUnderTest {
  readonly provider: Provider;
  /** An address that takes messages, another one each time. */
  address(): Address;
  /** An address that the other side refuses. */
  readonly refused: Address;
  /** What the other side has taken, as it arrived; one entry per message. */
  received(): readonly unknown[];
}

/** What makes a provider: see `channelConformance` for how to run it. `make` gives a fresh provider and a fresh other side. */
export function providerConformance(make: () => Promise<ProviderUnderTest>): ConformanceCase[] {
  const check = (name: string, run: (under: ProviderUnderTest) => Promise<void>): ConformanceCase => ({
    name,
    async run() {
      const under = await make();
      await run(under).finally(() => under.provider.close?.());
    },
  });
  const allSent = (sent: readonly Sent[], count: number) => assert.deepEqual(outcomes(sent), new Array(count).fill('sent'));

  return [
    check('has a name for records and reaches kinds of address that exist', async ({ provider, address, refused }) => {
      const known = channelNames.flatMap((name) => Object.keys(channelDefinition(name).addresses) as AddressKind[]);
      assert.match(provider.name, /^[a-z][a-z0-9-]*$/);
      assert.ok(provider.kinds.every((kind) => known.includes(kind)));
      for (const { kind } of [address(), refused]) assert.ok(provider.kinds.includes(kind));
    }),
    check('answers for each message, in order', async ({ provider, address, refused, received }) => {
      const sent = await provider.send(
        [address(), refused, address()].map((to) => messageTo(to)),
        never,
      );
      assert.deepEqual(
        sent.map(({ ok }) => ok),
        [true, false, true],
      );
      const ids = sent.flatMap((one) => (one.ok && one.providerMessageId !== undefined ? [one.providerMessageId] : []));
      assert.equal(new Set(ids).size, ids.length, 'ids are not those of other messages');
      assert.equal(received().length, 2);
    }),
    check('answers no messages with nothing', async ({ provider, received }) => {
      assert.deepEqual(await provider.send([], never), []);
      assert.deepEqual(received(), []);
    }),
    check('sends the same message again under the same name', async ({ provider, address, received }) => {
      const message = messageTo(address());
      allSent([...(await provider.send([message], never)), ...(await provider.send([message], never))], 2);
      const names = received().map((record) => [message.ref, message.tag].filter((name) => textOf(record).includes(name)));
      assert.equal(names.length, 2);
      assert.notDeepEqual(names[0], [], 'neither ref nor tag has reached the other side');
      assert.deepEqual(names[0], names[1]);
    }),
    check('tells the other side nothing of user, template, category and tags', async ({ provider, address, received }) => {
      const canary = (what: string) => `canary-${what}-${randomUUID()}`;
      const [text, userId, templateId, category, tag] = [
        canary('text'),
        canary('user'),
        canary('template'),
        canary('category'),
        canary('tag'),
      ];
      const plain = messageTo(address());
      const content = Object.fromEntries(Object.keys(plain.item.content).map((field) => [field, text]));
      const item = { ...plain.item, content, userId, templateId, category, tags: [tag] };
      allSent(await provider.send([{ ...plain, item }], never), 1);
      const told = received().map(textOf).join();
      assert.ok(told.includes(text), 'the content has arrived, so what else had been told would be seen');
      for (const secret of [userId, templateId, category, tag]) assert.ok(!told.includes(secret), `tells ${secret}`);
    }),
    check('sends nothing once its time is over, and says so', async ({ provider, address, received }) => {
      assert.deepEqual(outcomes(await provider.send([messageTo(address())], AbortSignal.abort())), ['PROVIDER_UNAVAILABLE']);
      assert.deepEqual(received(), []);
    }),
    check('may be closed twice, used or not', async ({ provider, address }) => {
      const { provider: unused } = await make();
      for (let i = 0; i < 2; i++) await unused.close?.();
      allSent(await provider.send([messageTo(address())], never), 1);
      for (let i = 0; i < 2; i++) await provider.close?.();
    }),
  ];
}

/** A record as text to look things up in, without the line breaks that mail puts into long lines. */
function textOf(record: unknown): string {
  const text = Buffer.isBuffer(record) ? record.toString() : JSON.stringify(record);
  return text.replaceAll('=\r\n', '').replaceAll('\r\n ', '');
}
