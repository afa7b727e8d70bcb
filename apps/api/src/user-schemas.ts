import {
  type ChannelName,
  channelDefinition,
  channelSchema,
  inlineAddressesSchema,
  parse,
  preferencesSchema,
  profilePatchSchema,
  profileSchema,
} from '@carillon/contracts';
import type { Device, Suppression } from '@carillon/directory';
import { z } from 'zod';
import { userParams } from './schemas.js';

/** What is known of a person, in and out. Answers are described, not checked. */
export { preferencesSchema, profilePatchSchema, profileSchema };

const time = z.number().int().describe('ms since the epoch');

/** Described here, checked by the directory. */
export const deviceRegistrationSchema = z.union([
  z.strictObject({
    fcm: z.union([z.strictObject({ token: z.string() }), z.strictObject({ fid: z.string() })]),
    platform: z.enum(['ios', 'android', 'web']).optional(),
  }),
  z.strictObject({
    web: z
      .strictObject({
        endpoint: z.string(),
        keys: z.strictObject({ p256dh: z.string(), auth: z.string() }),
        expirationTime: z.number().nullish().describe('not used'),
      })
      .describe('a subscription, as `PushSubscription.toJSON()` gives it in a browser'),
  }),
]);

export const deviceSchema = z.object({
  id: z.string(),
  kind: z.enum(['fcm', 'web']),
  platform: z.string().nullable(),
  registeredAt: time,
}) satisfies z.ZodType<Device>;
export const devicePageSchema = z.object({ data: z.array(deviceSchema), nextCursor: z.null() });

export const suppressionSchema = z.object({
  channel: channelSchema,
  reason: z.enum(['bounced', 'complaint', 'unsubscribed', 'invalid']),
  provider: z.string(),
  at: time,
}) satisfies z.ZodType<Suppression>;
export const suppressionParams = userParams.extend({ channel: channelSchema });
export const suppressionQuery = z.object({
  address: z.string().optional().describe('an address that came with a request, its plus sign percent-encoded; the user’s own unless told'),
});

/** An address such as a request may give for the channel. @throws FIELD_INVALID */
export function inlineAddress(channel: ChannelName, address: string): string {
  const { shape } = inlineAddressesSchema;
  const kind = Object.keys(channelDefinition(channel).addresses).find((name) => Object.hasOwn(shape, name));
  const schema = kind === undefined ? z.never('is not given with requests on this channel') : shape[kind as keyof typeof shape].unwrap();
  return parse(z.object({ address: schema }), { address }).address;
}
