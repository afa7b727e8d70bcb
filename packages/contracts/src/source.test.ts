import { expect, test } from '@jest/globals';
import { readSender } from './source.js';

test.each([
  ['office@clinic.example', { name: '', address: 'office@clinic.example' }],
  ['The Clinic <office@clinic.example>', { name: 'The Clinic', address: 'office@clinic.example' }],
  ['"Clinic, Vienna" <office@clinic.example>', { name: 'Clinic, Vienna', address: 'office@clinic.example' }],
  ['<office@clinic.example>', { name: '', address: 'office@clinic.example' }],
  ['Praxis Öster <a@b.example>', { name: 'Praxis Öster', address: 'a@b.example' }],
])('%s is a sender', (text, sender) => {
  expect(readSender(text)).toEqual(sender);
});

test.each([
  '',
  'Clinic',
  'a@b.example, c@d.example',
  'Clinic <a@b.example>, c@d.example',
  'Clinic <a@b.example',
  'a@b.example\r\nBcc: c@d.example',
  'Clinic\r\nBcc: c@d.example <a@b.example>',
  '"Clinic\u2028" <a@b.example>',
  'Clinic <a@b.example> <c@d.example>',
  'Friends: a@b.example;',
])('%j is none', (text) => {
  expect(readSender(text)).toBeUndefined();
});
