import { randomUUID } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { createLog } from './log.js';

function capture(level: 'debug' | 'info' | 'error' = 'debug') {
  const lines: string[] = [];
  const log = createLog({ level, name: 'test', write: (line) => lines.push(line) });
  return { log, lines, records: () => lines.map((line) => JSON.parse(line)) };
}

test('a line has level, time, service, message and fields', () => {
  const { log, records } = capture();
  log.child({ channel: 'in_app' }).info('job finished', { items: 3 });
  expect(records()).toEqual([
    expect.objectContaining({
      level: 'info',
      service: 'test',
      msg: 'job finished',
      channel: 'in_app',
      items: 3,
      time: expect.stringMatching(/Z$/),
    }),
  ]);
});

test('lines below the level are not written', () => {
  const { log, lines } = capture('error');
  log.info('quiet', { a: 1 });
  log.warn('quiet');
  log.error('loud');
  expect(lines).toHaveLength(1);
});

test('an error is written with name, code, field, stack and causes, and nothing else it carries', () => {
  const { log, lines, records } = capture();
  const cause = Object.assign(new Error('refused canary'), { code: 'ECONNREFUSED', command: { args: ['canary'] } });
  log.error('failed', { error: new CarillonError('FIELD_INVALID', { field: 'data.name', cause }) });
  const [{ error }] = records();
  expect(Object.keys(error).sort()).toEqual(['cause', 'code', 'field', 'name', 'stack']);
  expect(error).toMatchObject({
    name: 'CarillonError',
    code: 'FIELD_INVALID',
    field: 'data.name',
    cause: { name: 'Error', code: 'ECONNREFUSED' },
  });
  expect(error.stack).toMatch(/^CarillonError: A field is missing/);
  expect(error.cause.stack).toMatch(/^at .*log\.test\.ts/);
  expect(lines.join()).not.toContain('canary');
});

test('payloads do not reach a log: objects, thrown values, quoted JSON', () => {
  const { log, lines, records } = capture();
  let syntaxError: unknown;
  try {
    JSON.parse('canary');
  } catch (error) {
    syntaxError = error;
  }
  log.warn('a', { data: { name: 'canary' }, list: ['canary'] });
  log.warn('b', { error: { name: 'canary' } });
  log.warn('c', { error: syntaxError });
  expect(lines.join()).not.toMatch(/canary|"c"nary/);
  expect(records()[0]).toMatchObject({ data: '[object]', list: '[object]' });
  expect(records()[2].error.stack).toMatch(/^at /);
});

test('text is written under known names only, numbers and booleans under any, and so it is with a child', () => {
  const { log, lines, records } = capture();
  log.child({ stage: 'render', note: 'canary' }).warn('a', { jobId: 'job-1', title: 'canary', size: 12, late: true, none: null });
  log.info('b', { big: 12345678901234567890n, make: () => 'canary', sign: Symbol('canary'), gone: undefined });
  expect(lines.join()).not.toContain('canary');
  expect(records()[0]).toMatchObject({
    stage: 'render',
    note: '[omitted]',
    jobId: 'job-1',
    title: '[omitted]',
    size: 12,
    late: true,
    none: null,
  });
  expect(records()[1]).toMatchObject({ big: '[omitted]', make: '[omitted]', sign: '[omitted]' });
  expect(records()[1]).not.toHaveProperty('gone');
});

test('what looks like personal data is masked wherever it stands: message, field, child, error, cause, frame', () => {
  const { log, lines, records } = capture();
  const error = new CarillonError('FIELD_INVALID', {
    message: 'no ann@example.com',
    field: 'data.ann@example.com',
    cause: madeBy('ann@example.com'),
  });
  log.child({ userId: 'ann@example.com' }).error('sent to ann@example.com', { error, what: 'DOB 03/12/1984' });
  expect(lines.join()).not.toMatch(/example\.com|1984/);
  const [line] = records();
  expect(line).toMatchObject({ msg: 'sent to [email]', userId: '[email]', what: 'DOB [birth]' });
  expect(line.error).toMatchObject({ field: '[email]', stack: expect.stringMatching(/^CarillonError: no \[email\]\n {4}at /) });
  expect(line.error.cause.stack).toContain('[email]');
});

/** An error that was made in a function of this name, which is then in its stack. */
function madeBy(name: string): Error {
  const maker = { [name]: () => new Error('x') };
  return (maker[name] as () => Error)();
}

test('ids stay as they are', () => {
  const { log, records } = capture();
  const ids = [
    randomUUID(),
    '01234567-1234-4123-8123-012345678901',
    `batch-${'0123456789abcdef'.repeat(2)}`,
    'auth0|5f7c8ec7c33c6c004bbafe82',
    'req-1',
  ];
  for (const jobId of ids) log.info('x', { jobId });
  expect(records().map(({ jobId }) => jobId)).toEqual(ids);
});

test('of a foreign error neither message nor odd names and codes are written, even where the message looks like a stack', () => {
  const { log, lines, records } = capture();
  const error = Object.assign(new Error('canary\n    at canary (canary.js:1:1)'), { name: 'canary says', code: 'no canary' });
  log.error('failed', { error });
  expect(lines.join()).not.toContain('canary');
  expect(records()[0].error).toMatchObject({ name: '[omitted]', code: '[omitted]', stack: expect.stringMatching(/^at /) });
});

test('a long text is cut', () => {
  const { log, records } = capture();
  log.info('x', { what: 'y'.repeat(5000) });
  expect(records()[0].what).toHaveLength(1025);
});

test('a cause that is its own cause ends', () => {
  const { log, lines } = capture();
  const error = new Error('loop');
  error.cause = error;
  log.error('loop', { error });
  expect(lines).toHaveLength(1);
});
