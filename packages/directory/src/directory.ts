import type { Address, ChannelName, DeliveryReason, Preferences, Profile, ProfilePatch } from '@carillon/contracts';
import type { Outcome } from '@carillon/redis';

/** A push device as it is registered: exactly one of a token, a `fid` (FCM installation id) and a Web Push subscription. */
export type DeviceRegistration =
  | { readonly fcm: { readonly token: string } | { readonly fid: string }; readonly platform?: 'ios' | 'android' | 'web' }
  | { readonly web: { readonly endpoint: string; readonly keys: { readonly p256dh: string; readonly auth: string } } };

/** A device as it is listed: what it is, never its token. `registeredAt` is when it was registered last, ms since the epoch. */
export interface Device {
  readonly id: string;
  readonly kind: 'fcm' | 'web';
  readonly platform: string | null;
  readonly registeredAt: number;
}

/**
 * A device as an address. The value is JSON: of kind `fcm` `{"token":"…"}` or `{"fid":"…"}`, of kind `web` the subscription
 * `{"endpoint":"…","keys":{"p256dh":"…","auth":"…"}}`.
 */
export interface DeviceAddress extends Address {
  /** Which registration it comes from (ms since the epoch): one made since is not meant when the address turns out to be dead. */
  readonly registeredAt?: number;
}

/** What a renderer needs to know of one user. A user nobody has told us of has an empty profile, no wishes and no devices. */
export interface Recipient {
  readonly profile: Profile;
  readonly preferences: Preferences;
  readonly devices: readonly DeviceAddress[];
}

/** A stop on an address. */
export interface Suppression {
  readonly channel: ChannelName;
  readonly reason: 'bounced' | 'complaint' | 'unsubscribed' | 'invalid';
  readonly provider: string;
  /** ms since the epoch. */
  readonly at: number;
}

/** What is about to be sent where. */
export interface Delivery {
  readonly userId: string;
  readonly channel: ChannelName;
  readonly to: Address;
  readonly category?: string | undefined;
  /** The template is `required`: no preference stops it. */
  readonly required?: boolean | undefined;
}

/**
 * To whom and whether. What people are reached by is sealed for its user; what is looked up by address is looked up by keyed hash. What was sealed before
 * its user was erased counts as not there.
 */
export interface Directory {
  /** @throws USER_NOT_FOUND */
  profile(userId: string): Promise<Profile>;
  /** Replaces the profile. */
  setProfile(userId: string, profile: Profile): Promise<Profile>;
  /** Merges into the profile: null removes, absent stays. A user that is not known becomes so. */
  patchProfile(userId: string, patch: ProfilePatch): Promise<Profile>;

  preferences(userId: string): Promise<Preferences>;
  setPreferences(userId: string, preferences: Preferences): Promise<Preferences>;

  devices(userId: string): Promise<Device[]>;
  /**
   * Registers a device. The same token (for Web Push: the same endpoint) again is the same device; one that another user had moves here.
   * Of more than 50 devices the one registered longest ago leaves. @throws FIELD_INVALID
   */
  addDevice(userId: string, registration: unknown): Promise<Device>;
  /** @throws DEVICE_NOT_FOUND */
  removeDevice(userId: string, deviceId: string): Promise<void>;
  /** Removes a device a provider calls dead, if it is still registered with this very value. Answers whether it was. */
  pruneDevice(userId: string, address: DeviceAddress): Promise<boolean>;

  /** What is known of many users, in order, in one round trip. */
  recipients(userIds: readonly string[]): Promise<Outcome<Recipient>[]>;
  /**
   * Asked just before sending: undefined, or why nothing may go there now (`suppressed`, `address_changed`, `preference`). In order, in one
   * round trip.
   */
  standing(deliveries: readonly Delivery[]): Promise<Outcome<DeliveryReason | undefined>[]>;

  /** Stops an address on a channel; an earlier stop stays. */
  suppress(channel: ChannelName, value: string, about: { reason: Suppression['reason']; provider: string }): Promise<void>;
  /** Takes a stop back, e.g. when somebody who texted STOP texts START. Answers whether there was one. */
  unsuppress(channel: ChannelName, value: string): Promise<boolean>;
  /** The stop on a user's own address, or on one that came with a request. @throws SUPPRESSION_NOT_FOUND */
  suppression(userId: string, channel: ChannelName, address?: string | undefined): Promise<Suppression>;
  /** Lifts it. @throws SUPPRESSION_NOT_FOUND */
  liftSuppression(userId: string, channel: ChannelName, address?: string | undefined): Promise<void>;

  /**
   * A token for an unsubscribe link (RFC 8058): sealed, so that it tells nothing and cannot be made elsewhere. It is good as long as the
   * installation, whatever becomes of its encryption keys.
   */
  unsubscribeToken(about: Unsubscription): string;
  /** What a token was made for. Changes nothing. @throws LINK_INVALID */
  readUnsubscribeToken(token: string): Unsubscription;
  /**
   * Turns the category (without one: the channel) off for the user, keeping their other wishes. Repeatable. Whoever has wishes on as many
   * categories as are kept (`CATEGORIES_MAX`) turns the channel off.
   */
  unsubscribe(about: Unsubscription): Promise<void>;

  /**
   * Removes all that is known of a user, also under the tokens of their devices. Stops on addresses stay: they are kept without the address. Answers whether
   * there was something.
   */
  forget(userId: string): Promise<boolean>;
}

/** Who unsubscribes from what. */
export interface Unsubscription {
  readonly userId: string;
  readonly channel: ChannelName;
  readonly category?: string;
}
