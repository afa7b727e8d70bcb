import { createCipheriv, createSecretKey, randomBytes, randomInt } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { type Key, keyIdOf, openWith, sealWith, toKey } from './envelope.js';

const newKey = (id = 'k1'): Key => toKey(id, createSecretKey(randomBytes(32)));
const broken = expect.objectContaining({ code: 'SEAL_BROKEN' });
const refuses = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    expect(error).toEqual(broken);
    return true;
  }
  return false;
};

/**
 * The cipher by itself: test case 16 of the GCM specification (McGrew, Viega, appendix B), AES-256 with a 96-bit nonce and associated data.
 * The envelope adds its own associated data, so the cipher is checked here and the envelope below.
 */
test('the cipher is AES-256-GCM as specified', () => {
  const hex = (text: string) => Buffer.from(text, 'hex');
  const cipher = createCipheriv(
    'aes-256-gcm',
    hex('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308'),
    hex('cafebabefacedbaddecaf888'),
    { authTagLength: 16 },
  );
  cipher.setAAD(hex('feedfacedeadbeeffeedfacedeadbeefabaddad2'));
  const plain = 'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39';
  const sealed = Buffer.concat([cipher.update(hex(plain)), cipher.final()]);
  expect(sealed.toString('hex')).toBe(
    '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662',
  );
  expect(cipher.getAuthTag().toString('hex')).toBe('76fc6ece0f4e1768cddf8853bb2d551b');
});

test('what was sealed by this version opens in every later one', () => {
  const key = toKey('kat', createSecretKey(Buffer.alloc(32, 7)));
  const bound = ['inbox', 'owner', 'n-1'];
  const sealed = sealWith(key, bound, 'Ünïcode 🔔', Buffer.alloc(12, 9));
  expect(sealed).toBe(KNOWN);
  expect(openWith(key, bound, KNOWN).toString()).toBe('Ünïcode 🔔');
});
const KNOWN = 'AgNrYXQJCQkJCQkJCQkJCQnkGepXEZOuBcVCO6dyfvd8qKoAE0ibJQPi5xh6Z9Y=';

test('opens for the same key and what it is bound to only', () => {
  const key = newKey();
  const sealed = sealWith(key, ['inbox', 'ab', 'c'], 'text');
  expect(openWith(key, ['inbox', 'ab', 'c'], sealed).toString()).toBe('text');
  for (const bound of [
    ['inbox', 'a', 'bc'],
    ['inbox', 'ab'],
    ['job', 'ab', 'c'],
    ['inbox', 'ab', 'c', ''],
    ['inbox', 'ab', 'C'],
  ])
    expect(refuses(() => openWith(key, bound, sealed))).toBe(true);
  expect(refuses(() => openWith(newKey(), ['inbox', 'ab', 'c'], sealed))).toBe(true);
  expect(refuses(() => openWith(toKey('k2', key.secret), ['inbox', 'ab', 'c'], sealed))).toBe(true);
});

test('of 10,000 flipped bits none is accepted', () => {
  const key = newKey();
  let accepted = 0;
  for (let round = 0; round < 10_000; round++) {
    const bytes = Buffer.from(sealWith(key, ['job', 'o'], randomBytes(randomInt(0, 64)).toString('hex')), 'base64');
    const bit = round < bytes.length * 8 ? round : randomInt(bytes.length * 8);
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
    if (!refuses(() => openWith(key, ['job', 'o'], bytes.toString('base64')))) accepted++;
  }
  expect(accepted).toBe(0);
});

test('a shortened tag, a shortened text and an unknown key id are refused', () => {
  const key = newKey();
  const bytes = Buffer.from(sealWith(key, ['job', 'o'], 'text'), 'base64');
  for (let cut = 1; cut < bytes.length; cut++)
    expect(refuses(() => openWith(key, ['job', 'o'], bytes.subarray(0, -cut).toString('base64')))).toBe(true);
  expect(refuses(() => openWith(key, ['job', 'o'], sealWith(newKey('other'), ['job', 'o'], 'text')))).toBe(true);
  for (const nonsense of ['', '!', 'AA==', 'AgA=', 'Av8=']) expect(refuses(() => openWith(key, ['job', 'o'], nonsense))).toBe(true);
});

test('tells the id of the key it was sealed with', () => {
  expect(keyIdOf(sealWith(newKey('some-key'), ['job'], 'text'))).toBe('some-key');
  expect(keyIdOf('')).toBeUndefined();
  expect(keyIdOf('bm9uc2Vuc2U=')).toBeUndefined();
});

test('no nonce is used twice', () => {
  const key = newKey();
  const nonces = new Set(Array.from({ length: 5000 }, () => Buffer.from(sealWith(key, ['job'], ''), 'base64').toString('hex', 4, 16)));
  expect(nonces.size).toBe(5000);
});
