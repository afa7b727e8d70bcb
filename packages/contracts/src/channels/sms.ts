import { z } from 'zod';
import { source } from '../source.js';
import type { ChannelDefinition } from './definition.js';

/** Text messages. One job is one provider call. */
export const sms = {
  name: 'sms',
  addresses: { phone: 1 },
  content: {
    text: { format: 'text', base: 'body', singleLine: false },
  },
  options: [],
  highestClass: 'public',
  carriesData: false,
  // Twilio takes at most 1600 characters; JSON and UTF-8 may need more bytes for them.
  maxBytes: 6400,
  onUnknown: 'hold',
  awaitEcho: 5 * 60_000,
} as const satisfies ChannelDefinition;

/** What a template may say for text messages in particular. */
export const smsPart = z.strictObject({ text: source.max(1600).optional() });
