import { z } from 'zod';
import { source } from '../source.js';
import type { ChannelDefinition } from './definition.js';

/** Mobile and desktop push: shown on lock screens. */
export const push = {
  name: 'push',
  // An FCM call opens a session of its own, so tokens go together; a Web Push message is encrypted and sent for one subscription.
  addresses: { fcm: 100, web: 1 },
  content: {
    title: { format: 'text', base: 'title', singleLine: true },
    body: { format: 'text', base: 'body', singleLine: false },
    url: { format: 'text', singleLine: true, link: true },
  },
  options: [],
  highestClass: 'public',
  carriesData: false,
  // FCM takes 4096 bytes in all, Web Push about as much once encrypted; ids, link and envelope need some of it.
  maxBytes: 3000,
  // The tag is the same, so a repeat replaces what is shown.
  onUnknown: 'resend',
  awaitEcho: 0,
} as const satisfies ChannelDefinition;

/** What a template may say for push in particular. */
export const pushPart = z.strictObject({
  title: source.max(1000).optional(),
  body: source.optional(),
  url: source.max(2048).optional(),
});
