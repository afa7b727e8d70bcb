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
  const cause = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED', command: { args: ['canary'] } });
  log.error('failed', { error: new CarillonError('FIELD_INVALID', { field: 'data.name', cause }) });
  const [{ error }] = records();
  expect(Object.keys(error).sort()).toEqual(['cause', 'code', 'field', 'name', 'stack']);
  expect(error).toMatchObject({
    name: 'CarillonError',
    code: 'FIELD_INVALID',
    field: 'data.name',
    cause: { name: 'Error', code: 'ECONNREFUSED' },
  });
  expect(error.cause.stack).toContain('connection refused');
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

test('a cause that is its own cause ends', () => {
  const { log, lines } = capture();
  const error = new Error('loop');
  error.cause = error;
  log.error('loop', { error });
  expect(lines).toHaveLength(1);
});
