import { z } from 'zod';
import type { ChannelName } from './channels/index.js';
import type { Json, Priority } from './notification.js';

/*
 * What jobs carry. Jobs outlive deploys: fields are only ever added, and optional ones are absent rather than null.
 * Both schemas are loose on purpose: an older worker reads a newer producer's job and hands on what it does not know.
 */

const common = {
  id: z.string(),
  userId: z.string(),
  templateId: z.string(),
  priority: z.custom<Priority>((value) => typeof value === 'string'),
  channels: z.custom<ChannelName[]>((value) => Array.isArray(value)),
  category: z.string().optional(),
  threadId: z.string().optional(),
  tags: z.array(z.string()).optional(),
  url: z.string().optional(),
  createdAt: z.number(),
};
const json = z.custom<Record<string, Json>>((value) => typeof value === 'object' && value !== null);

const renderItem = z.object({ ...common, templateVersion: z.string(), data: json });
const channelItem = z.object({ ...common, content: z.record(z.string(), z.string()), data: json.optional() });

/** One notification on its way to the renderer. */
export type RenderItem = z.infer<typeof renderItem>;
export const renderItemSchema: z.ZodType<RenderItem> = renderItem.loose();

/** One notification on its way to a channel, rendered. `content` has the fields of the channel's definition. */
export type ChannelItem = z.infer<typeof channelItem>;
export const channelItemSchema: z.ZodType<ChannelItem> = channelItem.loose();
