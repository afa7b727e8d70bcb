import { expect, test } from '@jest/globals';
import { gathered } from './gather.js';

const script = { sha: 's', source: '' };

/** A run that answers when it is told to. */
function gate() {
  const runs: { calls: readonly number[]; answer: () => void; fail: (error: Error) => void }[] = [];
  const run = (_script: unknown, _shared: unknown, calls: readonly number[]) =>
    new Promise<string[]>((resolve, reject) => {
      runs.push({ calls, answer: () => resolve(calls.map((call) => `<${call}>`)), fail: reject });
    });
  return { runs, batch: gathered(run, 25) };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('who comes while one is on its way leaves with the others, and gets their own answers', async () => {
  const { runs, batch } = gate();
  const answers = [1, 2, 3, 4, 5].map((n) => batch(script, [], n === 4 ? [40, 41] : [n]));
  expect(runs.map(({ calls }) => calls)).toEqual([[1]]);
  runs[0]?.answer();
  await settled();
  expect(runs.map(({ calls }) => calls)).toEqual([[1], [2, 3, 40, 41, 5]]);
  runs[1]?.answer();
  expect(await Promise.all(answers)).toEqual([['<1>'], ['<2>'], ['<3>'], ['<40>', '<41>'], ['<5>']]);
});

test('other scripts, other shared arguments and large batches do not wait', () => {
  const { runs, batch } = gate();
  void batch(script, [], [1]);
  void batch(script, [7], [10]);
  void batch({ ...script, sha: 'other' }, [], [11]);
  void batch(
    script,
    [],
    Array.from({ length: 25 }, () => 12),
  );
  expect(runs).toHaveLength(4);
});

test('a failure reaches everybody it concerns, and those after them go on', async () => {
  const { runs, batch } = gate();
  const answers = [1, 2, 3, 4].map((n) => batch(script, [], [n]).catch((error: Error) => error.message));
  runs[0]?.answer();
  await settled();
  runs[1]?.fail(new Error('away'));
  await settled();
  expect((await Promise.all(answers)).slice(1)).toEqual(['away', 'away', 'away']);
  const next = batch(script, [], [5]);
  runs[2]?.answer();
  expect(await next).toEqual(['<5>']);
});
