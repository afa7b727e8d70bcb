import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createVault, keyedHash } from './vault.js';

const key = (kid: string) => `${kid}:${randomBytes(32).toString('base64')}`;

test('opens what it sealed, for the same purpose and owner only', () => {
  const vault = createVault(key('a'));
  const sealed = vault.seal('inbox', 'user-1', 'Ünïcode 🔔');
  expect(vault.open('inbox', 'user-1', sealed)).toBe('Ünïcode 🔔');
  expect(() => vault.open('inbox', 'user-2', sealed)).toThrow(expect.objectContaining({ code: 'SEAL_BROKEN' }));
  expect(() => vault.open('job', 'user-1', sealed)).toThrow(expect.objectContaining({ code: 'SEAL_BROKEN' }));
});

test('every flipped bit and every shortened tag is refused', () => {
  const vault = createVault(key('a'));
  const sealed = Buffer.from(vault.seal('inbox', 'u', 'text'), 'base64');
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const altered = Buffer.from(sealed);
    altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(() => vault.open('inbox', 'u', altered.toString('base64'))).toThrow(expect.objectContaining({ code: 'SEAL_BROKEN' }));
  }
  for (let cut = 1; cut <= 16; cut++) {
    expect(() => vault.open('inbox', 'u', sealed.subarray(0, -cut).toString('base64'))).toThrow(
      expect.objectContaining({ code: 'SEAL_BROKEN' }),
    );
  }
});

test('the first key seals, all open, an unknown one does not', () => {
  const [older, newer] = [key('old'), key('new')];
  const sealed = createVault(older).seal('inbox', 'u', 'text');
  expect(createVault(`${newer},${older}`).open('inbox', 'u', sealed)).toBe('text');
  expect(() => createVault(newer).open('inbox', 'u', sealed)).toThrow(expect.objectContaining({ code: 'SEAL_BROKEN' }));
});

test.each(['', 'a', 'a:', 'a:c2hvcnQ=', `a b:${randomBytes(32).toString('base64')}`])('refuses the key ring %j', (ring) => {
  expect(() => createVault(ring)).toThrow(expect.objectContaining({ code: 'CONFIGURATION_INVALID' }));
});

test('keyed hashes differ by secret, purpose and the cut between parts', () => {
  const secret = randomBytes(32);
  const base = keyedHash(secret, 'p', 'ab', 'c').toString('hex');
  expect(keyedHash(secret, 'p', 'ab', 'c').toString('hex')).toBe(base);
  expect(keyedHash(secret, 'p', 'a', 'bc').toString('hex')).not.toBe(base);
  expect(keyedHash(secret, 'q', 'ab', 'c').toString('hex')).not.toBe(base);
  expect(keyedHash(randomBytes(32), 'p', 'ab', 'c').toString('hex')).not.toBe(base);
});
