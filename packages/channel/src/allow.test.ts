import { expect, test } from '@jest/globals';
import { allowed } from './allow.js';

const whom = (value: string, userId = 'ann') => ({ to: { kind: 'email', value } as const, userId });
const device = (userId: string) => ({ to: { kind: 'fcm', id: 'd', value: '{"token":"t"}' } as const, userId });

test.each([
  ['*@clinic.example', whom('Ada@Clinic.example'), true],
  ['*@clinic.example', whom('ada@clinic.example.org'), false],
  ['+1555*', whom('+15551234567'), true],
  ['+1555*', whom('+44555'), false],
  ['user:ann', device('ann'), true],
  ['user:ann', device('anna'), false],
  ['user:ann', device('Ann'), false],
  ['user:auth0|*', device('auth0|7'), true],
  ['user:auth0|*', whom('x@y.example', 'auth0|7'), true],
  ['bob@example.com, user:ann', device('ann'), true],
  // Neither kind of entry speaks for the other.
  ['user:x@y.example', whom('x@y.example', 'ann'), false],
  ['ann', device('ann'), false],
  ['', device('ann'), false],
  [undefined, device('ann'), false],
])('%j: %j is %s', (list, to, expected) => {
  expect(allowed(list)(to)).toBe(expected);
});
