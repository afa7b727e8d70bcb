import type { ChannelDefinition } from './definition.js';

/** The inbox inside the customer's product, live over WebSocket. */
export const inApp = {
  name: 'in_app',
  addresses: { user: 100 },
  content: {
    title: { format: 'text', base: 'title', singleLine: true },
    body: { format: 'text', base: 'body', singleLine: false },
  },
  options: [],
  highestClass: 'phi',
  carriesData: true,
  // An inbox shows an id once.
  onUnknown: 'resend',
  awaitEcho: 0,
} as const satisfies ChannelDefinition;
