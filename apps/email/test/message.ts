import type { Message, Provider, Sent } from '@carillon/channel';
import { never } from '@carillon/channel/testing';
import { expect } from '@jest/globals';

/** A message to Ada that says hello. */
export function message(changes: Partial<Message> & { content?: Record<string, string>; options?: Record<string, string> } = {}): Message {
  const { content = { subject: 'Hello', text: 'text' }, options, ...rest } = changes;
  const common = { id: 'n1', userId: 'u1', templateId: 't1', priority: 'normal' as const, channels: ['email' as const], createdAt: 0 };
  return {
    item: { ...common, content, ...(options && { options }) },
    to: { kind: 'email', value: 'ada@home.example' },
    ref: 'n1',
    tag: 'AAAAAAAAAAAAAAAAAAAAAA',
    ...rest,
  };
}

export const send = async (to: Provider, what = message(), signal = never): Promise<Sent> => (await to.send([what], signal))[0] as Sent;

/** Code and pause of what was not sent. Its message may say nothing of the mail, and nothing may hang on it that does. */
export function failure(sent: Sent): { code: string; retryAfter: number | undefined } {
  if (sent.ok) throw new Error('was sent');
  const { code, message: said, retryAfter, cause } = sent.error;
  expect(said).not.toMatch(/ada|home\.example|Hello|SG\./i);
  expect(cause).toBeUndefined();
  return { code, retryAfter };
}
