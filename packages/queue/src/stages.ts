import { type ChannelDefinition, type ChannelItem, channelItemSchema, type RenderItem, renderItemSchema } from '@carillon/contracts';
import type { StageDefinition } from './stage.js';

/** The first stage: what producers queue and renderers work on. */
export const renderStage: StageDefinition<RenderItem> = { name: 'render', itemsPerJob: () => 100, item: renderItemSchema };

/** The second stage: what renderers queue and a channel's workers deliver. */
export function channelStage({ name, addresses }: ChannelDefinition): StageDefinition<ChannelItem> {
  const sizes: Readonly<Record<string, number | undefined>> = addresses;
  // An item without an address goes to the user itself.
  return { name, itemsPerJob: (kind = 'user') => sizes[kind] ?? 1, item: channelItemSchema };
}
