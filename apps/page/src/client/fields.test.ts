import { expect, test } from '@jest/globals';
import { inputsOf, toData } from './fields.js';

const template = {
  id: 't',
  title: 'Hi {{name}}',
  body: '{{startsAt.date}} {{{raw}}} {{& also}} {{#if-so}}{{name}}{{/if-so}}',
  channels: ['email' as const],
};

test('without fields the tags of all texts are asked for, once each', () => {
  const email = { subject: 'S {{subject}}', html: '{{> footer}}{{! a remark }}<b>{{ spaced }}</b>' };
  const names = inputsOf({ ...template, email, locales: { de: { title: 'Hallo {{vorname}}' } } }).map(({ name }) => name);
  expect(names).toEqual(['name', 'startsAt', 'raw', 'also', 'if-so', 'subject', 'spaced', 'vorname']);
  expect(inputsOf(template, ['layout', 'name']).map(({ name }) => name)).toContain('layout');
});

test('with fields they are asked for, by their types', () => {
  const fields = {
    startsAt: { type: 'datetime' as const },
    cost: { type: 'number' as const, optional: true },
    name: { type: 'text' as const },
  };
  const inputs = inputsOf({ ...template, fields }, ['name']);
  expect(inputs).toEqual([
    { name: 'startsAt', type: 'datetime', optional: false },
    { name: 'cost', type: 'number', optional: true },
    { name: 'name', type: 'text', optional: false },
  ]);
  const typed = { startsAt: '2026-03-05T14:30', cost: '12.5', name: 'Ada', other: 'x' };
  expect(toData(inputs, typed)).toEqual({ startsAt: new Date(2026, 2, 5, 14, 30).toISOString(), cost: 12.5, name: 'Ada' });
  expect(toData(inputs, { ...typed, cost: '', name: '' })).toEqual({ startsAt: expect.any(String), name: '' });
});
