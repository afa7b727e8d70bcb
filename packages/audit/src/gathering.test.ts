import { expect, test } from '@jest/globals';
import { Chain } from './chain.js';
import { Fifo } from './fifo.js';
import { Gathering } from './gathering.js';
import { seal, unseal } from './record.js';

const key = (name: string) => ({ type: 'key', name }) as const;
const everything = { count: 1000, size: 1e9 };

test('only what is of the same action, actor, outcome and about shares a batch', () => {
  const gathering = new Gathering(everything, () => undefined);
  const events = [
    { actor: key('a'), action: 'person.viewed' },
    { actor: key('b'), action: 'person.viewed' },
    { actor: key('a'), action: 'person.changed' },
    { actor: key('a'), action: 'person.viewed', outcome: 'FORBIDDEN' },
    { actor: key('a'), action: 'person.viewed', about: { a: '1', b: '2' } },
    { actor: key('a'), action: 'person.viewed', about: { a: 1, b: '2' } },
    { actor: key('a'), action: 'person.viewed', about: { a: '11:b1:2' } },
    { actor: key('a1:a1:1'), action: 'person.viewed' },
  ] as const;
  for (let round = 0; round < 2; round++) for (const event of events) gathering.add({ ...event, ids: [`${round}`] });
  gathering.roll();
  expect(gathering.take(everything).map(({ ids }) => ids)).toEqual(events.map(() => ['0', '1']));
});

test('beyond its bounds the oldest leave, and each is told of', () => {
  const dropped: number[] = [];
  const fifo = new Fifo<{ n: number; size: number }>({ count: 2000, size: 30_000 }, ({ n }) => dropped.push(n));
  for (let n = 0; n < 5000; n++) fifo.push({ n, size: 10 });
  expect(dropped).toEqual(Array.from({ length: 3000 }, (_, n) => n));
  fifo.push({ n: 5000, size: 20_000 });
  const left = fifo.take({ count: 10_000, size: 1e9 });
  expect(left.map(({ n }) => n)).toEqual([...Array.from({ length: 1000 }, (_, i) => 4000 + i), 5000]);
  fifo.push({ n: 6000, size: 1e9 });
  expect(fifo.take({ count: 1, size: 1 }).map(({ n }) => n)).toEqual([6000]);
});

test('a record is what was written, or nothing', () => {
  const gathering = new Gathering(everything, () => undefined);
  const chain = new Chain('api-1');
  gathering.add({ actor: key('ü"\\\n'), action: 'person.viewed', users: ['🔔', '\ud800'], about: { 2: 'b', 1: 'a' } });
  gathering.roll();
  const [batch] = gathering.take(everything);
  const { text } = chain.add(batch as NonNullable<typeof batch>);
  const record = unseal(text);
  expect(record).toMatchObject({ seq: 1, users: ['🔔', '\ud800'], actor: { name: 'ü"\\\n' } });
  const { hash: _hash, ...rest } = record as NonNullable<typeof record>;
  expect(seal(rest).text).toBe(text);
  for (const other of ['', '{}', text.slice(1), text.replace('🔔', '🔕'), `${text} `, text.replace(/}$/, ',"more":1}')]) {
    expect(unseal(other)).toBeUndefined();
  }
});
