import type { ChannelDefinition } from './definition.js';
import { email, emailPart } from './email.js';
import { inApp } from './in-app.js';
import { push, pushPart } from './push.js';
import { sms, smsPart } from './sms.js';

/** Names as constants, for callers who like them: `NotificationChannel.IN_APP`. */
export const NotificationChannel = { IN_APP: inApp.name, EMAIL: email.name, PUSH: push.name, SMS: sms.name } as const;

/** A channel's name. */
export type ChannelName = (typeof NotificationChannel)[keyof typeof NotificationChannel];

/** Every channel's name, in the order in which people see them. */
export const channelNames = Object.values(NotificationChannel);

const definitions: Readonly<Record<ChannelName, ChannelDefinition>> = { in_app: inApp, email, push, sms };

/** The definition of a channel. */
export function channelDefinition(name: ChannelName): ChannelDefinition {
  return definitions[name];
}

/** What a template may say for one channel in particular, by the channel's name. */
export const channelParts = { email: emailPart.optional(), push: pushPart.optional(), sms: smsPart.optional() };

export { email, inApp, push, sms };
