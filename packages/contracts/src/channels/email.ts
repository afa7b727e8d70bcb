import type { ChannelDefinition } from './definition.js';

/** Mail. One job is one provider call. */
export const email = {
  name: 'email',
  address: 'email',
  content: {
    subject: { format: 'text', from: 'title', singleLine: true },
    text: { format: 'text', from: 'body', singleLine: false },
  },
  highestClass: 'pii',
  itemsPerJob: 1,
  carriesData: false,
} as const satisfies ChannelDefinition;
