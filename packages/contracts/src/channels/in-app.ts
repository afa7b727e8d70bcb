import type { ChannelDefinition } from './definition.js';

/** The inbox inside the customer's product, live over WebSocket. */
export const inApp = {
  name: 'in_app',
  address: 'user',
  content: {
    title: { format: 'text', from: 'title', singleLine: true },
    body: { format: 'text', from: 'body', singleLine: false },
  },
  highestClass: 'phi',
  itemsPerJob: 100,
  carriesData: true,
} as const satisfies ChannelDefinition;
