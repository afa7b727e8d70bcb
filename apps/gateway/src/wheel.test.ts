import { waitFor } from '@carillon/testkit';
import { afterEach, expect, test } from '@jest/globals';
import { createWheel, type Deadline, type Wheel } from './wheel.js';

let wheel: Wheel;
afterEach(() => wheel.close());

test('meets deadlines never early, at most a tick or so late, and in order of time', async () => {
  wheel = createWheel(20);
  const start = performance.now();
  const met: { due: number; at: number }[] = [];
  const dues = Array.from({ length: 200 }, () => Math.random() * 500);
  for (const due of dues) wheel.after(due, () => met.push({ due, at: performance.now() - start }));
  await waitFor(() => met.length === dues.length, { what: 'all deadlines' });
  for (const { due, at } of met) expect(at).toBeGreaterThanOrEqual(due);
  // A generous bound: the machine may be busy.
  expect(Math.max(...met.map(({ due, at }) => at - due))).toBeLessThan(250);
});

test('forgets what is cancelled, also while it turns', async () => {
  wheel = createWheel(10);
  const met: string[] = [];
  let cancelLater: Deadline = { cancel() {} };
  wheel.after(20, () => {
    met.push('first');
    cancelLater.cancel();
    wheel.after(0, () => met.push('next'));
  });
  cancelLater = wheel.after(20, () => met.push('cancelled'));
  wheel.after(10, () => met.push('never')).cancel();
  await waitFor(() => met.includes('next'), { what: 'the next deadline' });
  expect(met).toEqual(['first', 'next']);
});

test('meets deadlines beyond one turn in their own turn', async () => {
  wheel = createWheel(1);
  const start = performance.now();
  let at = 0;
  wheel.after(600, () => {
    at = performance.now() - start;
  });
  await waitFor(() => at > 0, { what: 'the deadline' });
  expect(at).toBeGreaterThanOrEqual(600);
});

test('meets all deadlines that passed while the process was held up for longer than a turn', async () => {
  wheel = createWheel(1);
  let met = 0;
  for (let ms = 0; ms < 300; ms++) wheel.after(ms, () => met++);
  const until = performance.now() + 400;
  while (performance.now() < until);
  await waitFor(() => met === 300, { what: 'all deadlines' });
});
