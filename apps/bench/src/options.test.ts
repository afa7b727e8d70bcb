import { expect, test } from '@jest/globals';
import { parts, readOptions } from './options.js';

test('all parts are measured unless told', () => {
  const { parts: all, sockets, clients, pairs, rounds } = readOptions([]);
  expect([...all]).toEqual([...parts]);
  expect({ sockets, clients, pairs, rounds }).toEqual({ sockets: [1_000, 10_000], clients: 5_000, pairs: 3, rounds: 2 });
});

test('parts and numbers of sockets can be named', () => {
  const { parts: named, sockets } = readOptions(['--only', 'sockets,storm', '--sockets', '500', '--quick']);
  expect([...named]).toEqual(['sockets', 'storm']);
  expect(sockets).toEqual([500]);
});

test('what cannot be read is refused', () => {
  expect(() => readOptions(['--only', 'sockets,stormy'])).toThrow('--only must be of pipeline');
  expect(() => readOptions(['--sockets', '1000,many'])).toThrow('--sockets must be whole numbers');
  expect(() => readOptions(['--sockets', '50000'])).toThrow('from 1 to 20000');
  expect(() => readOptions(['--clients', '0'])).toThrow('--clients must be a whole number from 1');
});
