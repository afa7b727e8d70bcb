import type { Address, AddressKind, CarillonError, ChannelItem, ChannelName, DeliveryStatus } from '@carillon/contracts';
import type { Suppression } from '@carillon/directory';

/** One message for a provider: one delivery. */
export interface Message {
  readonly item: ChannelItem;
  readonly to: Address;
  /** Names the delivery, opaquely, in what a provider keeps and gives back: `<notification id>` or `<notification id>/<device id>`. */
  readonly ref: string;
  /** The same for every try of a delivery, so that a repeat replaces what is shown: 22 base64url characters. */
  readonly tag: string;
  /** Where to unsubscribe (RFC 8058); absent where nobody may. */
  readonly unsubscribeUrl?: string;
}

/**
 * What became of one message. The error's code decides what is next:
 * `PROVIDER_UNAVAILABLE`, `PROVIDER_LIMITED`: surely not sent; the next provider, else later (`retryAfter` is a floor). A limit counts against the
 * provider, unless its `field` is `to`: then it is this recipient's own (a full or greylisting mailbox).
 * `PROVIDER_MISCONFIGURED`: the same, and the provider is paused.
 * `PROVIDER_OUTCOME_UNKNOWN`: perhaps sent; never given to another provider.
 * `PROVIDER_REFUSED`: a fault of the message; dead letter.
 * `ADDRESS_UNREACHABLE`: failed, and the address is removed or suppressed, as `suppress` says (`invalid` unless told).
 */
export type Sent =
  | { readonly ok: true; readonly providerMessageId?: string }
  | { readonly ok: false; readonly error: CarillonError; readonly suppress?: Suppression['reason'] };

/** Who carries a channel's messages. Pass the suite `providerConformance` of `@carillon/channel/testing` and it is one. */
export interface Provider {
  /** As people read it in records, e.g. `sendgrid`. */
  readonly name: string;
  /** The addresses it reaches. */
  readonly kinds: readonly AddressKind[];
  /** Tells apart those behind one provider whose health is their own, e.g. the hosts of push services; one for all unless told. */
  peerOf?(to: Address): string;
  /**
   * Hands messages over and answers for each, in order. Tries each once: when to try again is not its affair. The signal is given when the time is
   * over (`CALL_TIMEOUT_MS`): the provider then answers at once with what it knows of each, and is not waited for much longer. What it throws counts
   * as `PROVIDER_OUTCOME_UNKNOWN` for all.
   */
  send(messages: readonly Message[], signal: AbortSignal): Promise<Sent[]>;
  close?(): Promise<void>;
}

/** How long one call to a provider may take, ms: a lost answer is not waited for much longer than a slow one. */
export const CALL_TIMEOUT_MS = 15_000;

/** Something a provider reports on its own: a receipt. */
export interface Receipt {
  /** The provider's id of this report; one that was seen before changes nothing. */
  readonly eventId: string;
  /** The message's `ref`, if the provider gives it back. */
  readonly ref?: string;
  /** Where the delivery has got to. */
  readonly status?: Extract<DeliveryStatus, 'sent' | 'delivered' | 'bounced' | 'failed'>;
  /** What the recipient did. */
  readonly engagement?: 'opened' | 'clicked';
  /** The recipient does not want this category any more. */
  readonly unsubscribed?: boolean;
  /** Nothing may be sent to `address` any more. */
  readonly suppress?: Suppression['reason'];
  /** The recipient takes it back (START). */
  readonly unsuppress?: boolean;
  /** The address concerned. Personal data. */
  readonly address?: string;
  readonly providerMessageId?: string;
  /** Code of ours that says why, e.g. `ADDRESS_UNREACHABLE`. */
  readonly reason?: string;
  /** ms since the epoch. */
  readonly at: number;
}

/** A request that claims to come from a provider, as it arrived. */
export interface ReceivedEvents {
  /** The address the provider called, as it knows it: the public URL with path and query. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Reads what a provider reports. */
export interface Receiver {
  readonly channel: ChannelName;
  /** Bytes of the largest report this provider makes: anything larger is refused unread. As much as the interface takes unless told. */
  readonly maxBytes?: number;
  /** Verifies and reads. @throws SIGNATURE_INVALID (401), FIELD_INVALID */
  read(request: ReceivedEvents): Receipt[];
  /** What the provider wants to be answered; `204` without a body unless told. */
  readonly answer?: { readonly type: string; readonly body: string };
}
