import { expect, test } from '@jest/globals';
import { type Preview, previewProvider } from './previews.js';
import type { Message } from './provider.js';

test('a message is kept as of when its notification was created, not of when it is sent', async () => {
  const kept: [Preview, number | undefined][] = [];
  const previews = {
    add: async (list: readonly Preview[], createdAt: readonly number[] = []) => {
      for (const [i, preview] of list.entries()) kept.push([preview, createdAt[i]]);
    },
    list: async () => [],
    get: async () => undefined,
  };
  const message = (tag: string, createdAt: number): Message => ({
    item: { id: tag, userId: 'ann', templateId: 't', channels: ['email'], priority: 'normal', createdAt, content: { text: tag }, data: {} },
    to: { kind: 'email', value: 'ann@example.com' },
    ref: tag,
    tag,
  });
  const provider = previewProvider(previews, 'preview', ['email'], 'email');
  expect(await provider.send([message('a', 5), message('b', 7)], new AbortController().signal)).toEqual([
    { ok: true, providerMessageId: 'email-a' },
    { ok: true, providerMessageId: 'email-b' },
  ]);
  expect(kept.map(([{ id, to, content }, createdAt]) => ({ id, to, content, createdAt }))).toEqual([
    { id: 'email-a', to: 'ann@example.com', content: { text: 'a' }, createdAt: 5 },
    { id: 'email-b', to: 'ann@example.com', content: { text: 'b' }, createdAt: 7 },
  ]);
});
