import { z } from 'zod';
import type { AddressKind } from './channels/definition.js';
import { channelSchema, line, phoneNumberSchema } from './notification.js';
import { emailAddressSchema } from './source.js';

/** Where one delivery goes. */
export interface Address {
  readonly kind: AddressKind;
  /** Device id; absent where a person has one address on the channel. In clear in records and logs. */
  readonly id?: string;
  /** Mail address, E.164 number, FCM token or `fid`, JSON of a Web Push subscription. Personal data. */
  readonly value: string;
  /** Given with the request rather than by the directory. */
  readonly inline?: true;
}

const isLocale = (tag: string) => {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
};
const isTimeZone = (zone: string) => {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }));
  } catch {
    return false;
  }
};

/** A person: how they are reached and in which language and zone they are spoken to. */
export const profileSchema = z.strictObject({
  email: emailAddressSchema.optional(),
  phone: phoneNumberSchema.optional(),
  name: line(256).optional(),
  /** BCP 47. */
  locale: line(64).refine(isLocale, 'must be a BCP 47 language tag, such as de-AT').optional(),
  /** IANA. */
  timeZone: line(64).refine(isTimeZone, 'must be an IANA time zone, such as Europe/Vienna').optional(),
});
export type Profile = z.output<typeof profileSchema>;
/** A change of a profile: what is null is removed, what is absent stays. */
export const profilePatchSchema = z.strictObject({
  email: profileSchema.shape.email.nullable(),
  phone: profileSchema.shape.phone.nullable(),
  name: profileSchema.shape.name.nullable(),
  locale: profileSchema.shape.locale.nullable(),
  timeZone: profileSchema.shape.timeZone.nullable(),
});
export type ProfilePatch = z.output<typeof profilePatchSchema>;

/** Categories one user's preferences name at most. */
export const CATEGORIES_MAX = 1000;

/** What a user wants. What is absent is wanted. */
export const preferencesSchema = z.strictObject({
  /** Nothing at all, but for what is required. */
  mute: z.boolean().optional(),
  /** By channel. */
  channels: z.partialRecord(channelSchema, z.boolean()).optional(),
  /** By category, and channel within it; `true` or `false` for all channels of the category. */
  categories: z
    .record(line(64), z.union([z.boolean(), z.partialRecord(channelSchema, z.boolean())]))
    .refine((categories) => Object.keys(categories).length <= CATEGORIES_MAX, `must name at most ${CATEGORIES_MAX} categories`)
    .optional(),
});
export type Preferences = z.output<typeof preferencesSchema>;
