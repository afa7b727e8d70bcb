import { z } from 'zod';
import { senderSchema, source } from '../source.js';
import type { ChannelDefinition } from './definition.js';

/** Mail. One job is one provider call. */
export const email = {
  name: 'email',
  addresses: { email: 1 },
  content: {
    subject: { format: 'text', base: 'title', singleLine: true },
    // Always there: a mail with HTML only is spam to many filters and mute to some readers.
    text: { format: 'text', base: 'body', singleLine: false },
    html: { format: 'html', singleLine: false },
  },
  options: ['from', 'replyTo'],
  highestClass: 'pii',
  carriesData: false,
  onUnknown: 'hold',
  // SendGrid tells within seconds what it has processed; its events are sent again for a day when nobody takes them.
  awaitEcho: 5 * 60_000,
} as const satisfies ChannelDefinition;

/** What a template may say for mail in particular. */
export const emailPart = z.strictObject({
  subject: source.max(1000).optional(),
  html: source.optional(),
  text: source.optional(),
  /** A layout registered as a partial, around `html`. */
  layout: z.string().min(1).max(128).optional(),
  from: senderSchema.optional(),
  replyTo: senderSchema.optional(),
  onUnknown: z.enum(['resend', 'hold']).optional(),
});
