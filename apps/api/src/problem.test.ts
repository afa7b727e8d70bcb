import { CarillonError, type ErrorCode, errorCatalogue } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { retryAfterSeconds, statusOf, toFault, toProblem } from './problem.js';

test('every code of the catalogue has a status of an error', () => {
  for (const code of Object.keys(errorCatalogue) as ErrorCode[]) expect(statusOf[code]).toBeGreaterThanOrEqual(400);
});

test('a problem tells what is wrong with a request, and of our own faults only the kind', () => {
  const ours = new CarillonError('INTERNAL', { message: 'canary', cause: new Error('canary') });
  expect(toProblem(ours)).toEqual({
    type: '/docs/errors#internal',
    title: errorCatalogue.INTERNAL[1],
    status: 500,
    detail: errorCatalogue.INTERNAL[1],
    code: 'INTERNAL',
  });
  expect(toProblem(new CarillonError('FIELD_INVALID', { field: 'data.name', message: 'data.name: must be text' }))).toEqual({
    type: '/docs/errors#field-invalid',
    title: errorCatalogue.FIELD_INVALID[1],
    status: 400,
    detail: 'data.name: must be text',
    code: 'FIELD_INVALID',
    field: 'data.name',
  });
  expect(toProblem(new CarillonError('QUEUE_OUTCOME_UNKNOWN', { id: 'n1' }))).toMatchObject({ status: 503, id: 'n1' });
});

test('when to try again: what the error says, rounded up to seconds; for 503 always something', () => {
  expect(retryAfterSeconds(new CarillonError('QUEUE_FULL', { retryAfter: 1001 }), 503)).toBe(2);
  expect(retryAfterSeconds(new CarillonError('QUEUE_UNAVAILABLE'), 503)).toBe(1);
  expect(retryAfterSeconds(new CarillonError('FIELD_INVALID'), 400)).toBeUndefined();
});

test('whatever else is thrown is internal', () => {
  for (const thrown of [new Error('x'), undefined, null, 'x', Object.assign(new Error('x'), { statusCode: 302 })]) {
    expect(toFault(thrown)).toMatchObject({ status: 500, error: { code: 'INTERNAL' } });
  }
});
