import { CarillonError } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { type Committed, createGroupCommit } from './group-commit.js';

const limits = { maxItems: 10, maxBytes: 1000, maxInFlight: 2, maxWaitingBytes: 10_000 };
const ok = (values: number[]): Committed<number>[] => values.map((value) => ({ ok: true, value }));

/** A commit that is answered when the test says so. */
function held() {
  const batches: { lane: string; values: number[]; answer: (results?: Committed<number>[]) => void; fail: (error: Error) => void }[] = [];
  const commit = (lane: string, values: number[]) =>
    new Promise<Committed<number>[]>((resolve, reject) => {
      batches.push({ lane, values, answer: (results = ok(values)) => resolve(results), fail: reject });
    });
  return { batches, commit };
}
const tick = () => new Promise((resolve) => setImmediate(resolve));

test('a single call leaves at once, alone', async () => {
  const { batches, commit } = held();
  const group = createGroupCommit(limits, commit);
  const result = group.add('a', 1, 1);
  await tick();
  expect(batches.map(({ values }) => values)).toEqual([[1]]);
  batches[0]?.answer();
  expect(await result).toEqual({ ok: true, value: 1 });
});

test('those who come while commits are under way leave together, in order, within the bounds', async () => {
  const { batches, commit } = held();
  const group = createGroupCommit(limits, commit);
  const results: Promise<Committed<number>>[] = [];
  for (let i = 0; i < 2; i++) {
    results.push(group.add('a', i, 1));
    await tick();
  }
  for (let i = 2; i < 27; i++) results.push(group.add('a', i, 1));
  await tick();
  expect(batches.length).toBe(2);
  batches[0]?.answer();
  await results[0];
  batches[1]?.answer();
  await results[1];
  expect(batches.map(({ values }) => values.length)).toEqual([1, 1, 10, 10]);
  batches[2]?.answer();
  await results[2];
  expect(batches[4]?.values).toEqual([22, 23, 24, 25, 26]);
  for (const batch of batches) batch.answer();
  expect((await Promise.all(results)).map((result) => result.ok && result.value)).toEqual(results.map((_, i) => i));
});

test('bytes bound a batch too, and a large one travels alone', async () => {
  const { batches, commit } = held();
  const group = createGroupCommit({ ...limits, maxInFlight: 1 }, commit);
  const results = [group.add('a', 0, 1)];
  await tick();
  for (const [value, bytes] of [
    [1, 600],
    [2, 600],
    [3, 3000],
    [4, 1],
  ] as const)
    results.push(group.add('a', value, bytes));
  for (let i = 0; i < 5; i++) {
    await tick();
    batches[i]?.answer();
    await results[i];
  }
  expect(batches.map(({ values }) => values)).toEqual([[0], [1], [2], [3], [4]]);
});

test('lanes do not wait for each other', async () => {
  const { batches, commit } = held();
  const group = createGroupCommit({ ...limits, maxInFlight: 1 }, commit);
  const results = [group.add('a', 1, 1), group.add('b', 2, 1)];
  await tick();
  expect(batches.map(({ lane }) => lane)).toEqual(['a', 'b']);
  for (const batch of batches) batch.answer();
  await Promise.all(results);
});

test('refuses more than may wait, and takes again when there is room', async () => {
  const { batches, commit } = held();
  const group = createGroupCommit({ ...limits, maxBytes: 10_000, maxInFlight: 1 }, commit);
  const first = group.add('a', 0, 1);
  await tick();
  const waiting = group.add('a', 1, 9_000);
  expect(await group.add('a', 2, 2_000)).toEqual({
    ok: false,
    error: expect.objectContaining({ code: 'QUEUE_FULL', retryAfter: expect.any(Number) }),
  });
  batches[0]?.answer();
  await first;
  await tick();
  const taken = group.add('a', 3, 2_000);
  batches[1]?.answer();
  expect(await waiting).toEqual({ ok: true, value: 1 });
  await tick();
  batches[2]?.answer();
  expect(await taken).toEqual({ ok: true, value: 3 });
});

test('each gets its own result, and a commit that throws fails its own entries only', async () => {
  const { batches, commit } = held();
  const group = createGroupCommit({ ...limits, maxInFlight: 1 }, commit);
  const error = new CarillonError('IDEMPOTENCY_MISMATCH');
  const first = [group.add('a', 0, 1), group.add('a', 1, 1)];
  await tick();
  const second = group.add('a', 2, 1);
  batches[0]?.answer([
    { ok: true, value: 0 },
    { ok: false, error },
  ]);
  expect(await Promise.all(first)).toEqual([
    { ok: true, value: 0 },
    { ok: false, error },
  ]);
  await tick();
  batches[1]?.fail(new Error('bug'));
  expect(await second).toEqual({ ok: false, error: expect.objectContaining({ code: 'INTERNAL' }) });
  await group.idle();
});
