import type { ChannelDefinition } from './definition.js';

/** Text messages. One job is one provider call. */
export const sms = {
  name: 'sms',
  address: 'phone',
  content: {
    text: { format: 'text', from: 'body', singleLine: false },
  },
  highestClass: 'public',
  itemsPerJob: 1,
  carriesData: false,
} as const satisfies ChannelDefinition;
