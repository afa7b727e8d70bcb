import type { CarillonError, ChannelDefinition, ChannelItem, DeliveryStatus } from '@carillon/contracts';
import type { Attempt } from '@carillon/queue';

/** How the delivery of one item ended. */
export type Delivered =
  | {
      readonly ok: true;
      /** `failed` for an address that does not exist: nothing to try again, so no dead letter either. */
      readonly status: Extract<DeliveryStatus, 'sent' | 'delivered' | 'skipped' | 'failed'>;
      readonly reason?: string;
      readonly provider?: string;
      readonly providerMessageId?: string;
    }
  | { readonly ok: false; readonly error: CarillonError; readonly provider?: string };

/**
 * A way to a recipient. Pass the suite of `@carillon/channel/testing` and it is one.
 */
export interface Channel {
  readonly definition: ChannelDefinition;
  /** How long the provider's own word on an unknown outcome is waited for, ms; 0 where none can come. */
  readonly awaitEcho?: number;
  /** Decides before anything is claimed whether items can go out now; undefined lets one go. What it throws counts for all items. */
  admit?(items: readonly ChannelItem[], attempt: Attempt): Promise<(Delivered | undefined)[]>;
  /** Runs a try, from its claim until it is settled, when it is its turn, where no more than so many may be under way; at once if absent. */
  turn?<T>(run: () => Promise<T>): Promise<T>;
  /** Decides, while they are being claimed, whether items may go out at all; undefined lets one go. What it throws counts for all items. */
  permit?(items: readonly ChannelItem[]): Promise<(Delivered | undefined)[]>;
  /**
   * Delivers the items of one job and answers for each, in order. Each was claimed, so a channel need not ask whether it was sent before;
   * one whose definition says `onUnknown: 'resend'` gets an item again whose outcome nobody knows. The error's verdict decides whether an item
   * is tried again. What it throws counts for all items.
   */
  deliver(items: readonly ChannelItem[], attempt: Attempt): Promise<Delivered[]>;
}
