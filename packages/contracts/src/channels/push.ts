import type { ChannelDefinition } from './definition.js';

/** Mobile and desktop push: shown on lock screens. */
export const push = {
  name: 'push',
  address: 'device',
  content: {
    title: { format: 'text', from: 'title', singleLine: true },
    body: { format: 'text', from: 'body', singleLine: false },
  },
  highestClass: 'public',
  itemsPerJob: 1,
  carriesData: false,
} as const satisfies ChannelDefinition;
