import { memoryVault } from '@carillon/vault/testing';
import { expect, test } from '@jest/globals';
import { fromToken, toToken } from './unsubscribe-token.js';

const [vault, other] = [await memoryVault(), await memoryVault()];
const about = { userId: 'auth0|ann & co', channel: 'email', category: 'news' } as const;
const broken = expect.objectContaining({ code: 'LINK_INVALID' });

test('a token tells us, and nobody else, what it was made for', () => {
  const token = toToken(vault, about);
  expect(fromToken(vault, token)).toEqual(about);
  expect(token).toMatch(/^[\w-]+$/);
  expect(Buffer.from(token, 'base64url').toString()).not.toMatch(/ann|news|email/);
  expect(() => fromToken(other, token)).toThrow(broken);
  const plain = { userId: 'ann', channel: 'sms' } as const;
  expect(fromToken(vault, toToken(vault, plain))).toEqual(plain);
});

test('a token in which anything was changed is refused', () => {
  const token = toToken(vault, about);
  for (let i = 0; i < token.length; i++) {
    const letter = token[i] === 'A' ? 'B' : 'A';
    expect(() => fromToken(vault, token.slice(0, i) + letter + token.slice(i + 1))).toThrow(broken);
  }
  for (const altered of ['', 'a', '!', `${token}=`, `${token}A`, ` ${token}`, token.slice(1), token.slice(0, -1)]) {
    expect(() => fromToken(vault, altered)).toThrow(broken);
  }
});

test('what was sealed for something else is no token', () => {
  const sealed = Buffer.from(vault.seal('session', '', JSON.stringify(about)), 'base64').toString('base64url');
  expect(() => fromToken(vault, sealed)).toThrow(broken);
});
