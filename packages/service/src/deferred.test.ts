import type { CarillonError } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { createDeferred } from './deferred.js';

test('closing undoes last first, goes on after a failure and tells it', async () => {
  const deferred = createDeferred();
  const closed: string[] = [];
  const failure = new Error('b');
  deferred.defer('a', () => closed.push('a'));
  deferred.defer('b', async () => {
    closed.push('b');
    throw failure;
  });
  deferred.defer('c', () => closed.push('c'));
  expect(await deferred.close()).toEqual([{ what: 'b', error: failure }]);
  expect(closed).toEqual(['c', 'b', 'a']);
});

test('closing twice is one closing', async () => {
  const deferred = createDeferred();
  let times = 0;
  deferred.defer('a', () => {
    times++;
  });
  const first = deferred.close();
  expect(deferred.close()).toBe(first);
  await first;
  expect(times).toBe(1);
});

test('one deadline holds for all: a step that hangs is told, the ones before it are still begun', async () => {
  const deferred = createDeferred();
  const begun: string[] = [];
  const hang = (name: string) => () => {
    begun.push(name);
    return new Promise(() => {});
  };
  deferred.defer('a', hang('a'));
  deferred.defer('b', hang('b'));
  const start = Date.now();
  const failures = await deferred.close(50);
  expect(failures.map(({ what }) => what)).toEqual(['b', 'a']);
  expect(begun).toEqual(['b', 'a']);
  expect(Date.now() - start).toBeLessThan(5000);
});

test('what is deferred after closing is undone at once, and its builder is told to stop', async () => {
  const deferred = createDeferred();
  await deferred.close();
  const undone = await new Promise<unknown>((resolve) => {
    try {
      deferred.defer('late', () => resolve('undone'));
    } catch (error) {
      expect((error as CarillonError).code).toBe('SERVICE_CLOSED');
    }
  });
  expect(undone).toBe('undone');
});
