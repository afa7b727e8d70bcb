import { z } from 'zod';
import type { OnUnknown } from './channels/definition.js';
import type { ChannelName } from './channels/index.js';
import type { InlineAddresses, Json, Priority } from './notification.js';
import type { Address } from './user.js';

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

const renderItem = z.object({ ...common, templateVersion: z.string(), data: json, inline: z.custom<InlineAddresses>().optional() });
const channelItem = z.object({
  ...common,
  /** Where it goes; absent where the user id is the address. */
  to: z.custom<Address>().optional(),
  /** The renderer claimed its delivery; absent where the worker is to do that. */
  claimed: z.boolean().optional(),
  content: z.record(z.string(), z.string()),
  /** The definition's `options`, as the template has them. */
  options: z.record(z.string(), z.string()).optional(),
  /** The template is `required`: no preference stops it, and nobody is offered to unsubscribe. */
  required: z.boolean().optional(),
  /** What to do where the outcome is unknown, if the template says so. */
  onUnknown: z.custom<OnUnknown>().optional(),
  data: json.optional(),
});

/** One notification on its way to the renderer. */
export type RenderItem = z.infer<typeof renderItem>;
export const renderItemSchema: z.ZodType<RenderItem> = renderItem.loose();

/** One notification on its way to a channel, rendered. `content` has the fields of the channel's definition. */
export type ChannelItem = z.infer<typeof channelItem>;
export const channelItemSchema: z.ZodType<ChannelItem> = channelItem.loose();
