import { randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { failed, handEach } from './call.js';
import type { Message, Provider } from './provider.js';
import { never, type ProviderUnderTest, providerConformance } from './testing.js';

/** A provider whose other side is a list, with changes that make it worse. */
function under(
  worse: (good: Provider, take: (record: unknown) => void) => Partial<Provider> = () => ({}),
): () => Promise<ProviderUnderTest> {
  return async () => {
    const received: unknown[] = [];
    let n = 0;
    const take = ({ to, tag, item }: Message) => {
      if (to.value === '') return failed('PROVIDER_REFUSED', 'Refused.');
      received.push({ to: to.value, tag, content: item.content });
      return { ok: true, providerMessageId: randomUUID() } as const;
    };
    const good: Provider = {
      name: 'good',
      kinds: ['email'],
      send: (messages, signal) => handEach(messages, signal, async (message) => take(message)),
    };
    const provider = { ...good, ...worse(good, (record) => received.push(record)) };
    const address = (value = `ada${++n}@home.example`) => ({ kind: 'email', value }) as const;
    return { provider, address, refused: address(''), received: () => received };
  };
}

async function failures(make: () => Promise<ProviderUnderTest>): Promise<string[]> {
  const names: string[] = [];
  for (const { name, run } of providerConformance(make)) await run().catch(() => names.push(name));
  return names;
}

test('a good provider passes', async () => {
  expect(await failures(under())).toEqual([]);
});

test.each<[string, Parameters<typeof under>[0], RegExp]>([
  ['has a name of words', () => ({ name: 'Send Grid' }), /name for records/],
  ['reaches another kind', () => ({ kinds: ['phone'] }), /name for records/],
  ['answers in reverse', (good) => ({ send: async (...given) => (await good.send(...given)).reverse().slice(0, 1) }), /in order/],
  [
    'answers nobody',
    (good) => ({ send: async (m, s) => [...(await good.send(m, s)), ...(m.length ? [] : [{ ok: true } as const])] }),
    /no messages/,
  ],
  [
    'names no message',
    (_, take) => ({
      send: (m, s) =>
        handEach(m, s, async ({ item }) => {
          take(item.content);
          return { ok: true };
        }),
    }),
    /same name/,
  ],
  [
    'tells all',
    (good, take) => ({
      send(messages, signal) {
        if (!signal.aborted) for (const { item } of messages) take(item);
        return good.send(messages, signal);
      },
    }),
    /tells the other side/,
  ],
  ['heeds no signal', (good) => ({ send: (messages) => good.send(messages, never) }), /time is over/],
  [
    'closes once',
    () => {
      let closed = false;
      const close = async () => {
        if (closed) throw new Error('closed');
        closed = true;
      };
      return { close };
    },
    /closed twice/,
  ],
])('one that %s fails', async (_, worse, expected) => {
  expect((await failures(under(worse))).some((name) => expected.test(name))).toBe(true);
});
