/**
 * Why a delivery was not sent, or not yet, where that is no error. A failed delivery's reason is a code of the error catalogue.
 * Stable for ever, like codes.
 */
export const deliveryReasons = {
  no_email: 'The user has no mail address.',
  no_phone: 'The user has no phone number.',
  no_device: 'The user has no device.',
  preference: 'The user does not want this category, this channel, or anything at all.',
  suppressed: 'Nothing may be sent to the address: it bounced, complained or unsubscribed.',
  address_changed: 'The address was removed, or belongs to somebody else by now.',
  provider_down: 'No provider of the channel is available.',
} as const;

/** Why a delivery was not sent. */
export type DeliveryReason = keyof typeof deliveryReasons;
