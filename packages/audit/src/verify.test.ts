import { expect, test } from '@jest/globals';
import { BEGINNING, type Head, type Sealed, seal } from './record.js';
import { type Chains, verify } from './verify.js';

const system = { type: 'system', name: 'test' } as const;

/** A chain of so many records, each with the heads it is given. */
function chainOf(writer: string, length: number, headsOf: (i: number) => readonly Head[] = () => [], outcome = 'ok'): Sealed[] {
  const chain: Sealed[] = [];
  for (let i = 0; i < length; i++) {
    const prev = chain.at(-1)?.head.hash ?? BEGINNING;
    chain.push(seal({ v: 1, writer, seq: i + 1, at: i, actor: system, action: 'trail.anchored', outcome, heads: headsOf(i), prev }));
  }
  return chain;
}

const chainsOf = (trail: Record<string, Sealed[]>): Chains => ({
  isWhole: true,
  names: async () => Object.keys(trail),
  heads: async () => [],
  sinks: async () => [],
  async *records(writer) {
    for (const { text } of trail[writer] ?? []) yield text;
  },
});

test('of thousands of anchors of one chain, in any order, the latest decides', async () => {
  const chain = chainOf('a', 5000);
  const heads = chain.map(({ head }) => head);
  const anchors = [...heads.slice(2500), ...heads.slice(0, 2500)];
  const b = chainOf('b', heads.length, (i) => [anchors[i] as Head]);
  expect((await verify(chainsOf({ a: chain, b }))).faults).toEqual([]);
  const cut = await verify(chainsOf({ a: chain.slice(0, 4999), b }));
  expect(cut.faults).toEqual([{ writer: 'a', seq: 5000, what: 'cut' }]);
  const other = await verify(chainsOf({ a: chainOf('a', 5000, undefined, 'FORBIDDEN'), b }));
  expect(other.faults).toMatchObject([{ writer: 'a', what: 'altered' }]);
});
