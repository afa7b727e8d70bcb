import type { ChannelName, DeliveryStatus, NotificationStatus } from '@carillon/contracts';
import type { Outcome } from '@carillon/redis';

/** What is written when a notification is accepted. */
export interface NewRecord {
  readonly id: string;
  readonly userId: string;
  readonly templateId: string;
  readonly templateVersion: string;
  readonly channels: readonly ChannelName[];
  /** ms since the epoch. */
  readonly createdAt: number;
}

/** The use of an idempotency key: the id made from it, and what it was used for. */
export interface Claim {
  readonly id: string;
  /** Hash of the request. */
  readonly requestHash: string;
}

/** One delivery, as people read it. */
export interface Delivery {
  readonly channel: ChannelName;
  readonly status: DeliveryStatus;
  /** Code of the catalogue that says why, where there is a why. */
  readonly reason: string | null;
  readonly attempts: number;
  readonly provider: string | null;
  readonly providerMessageId: string | null;
  /** When it reached each status it has had, ms since the epoch. */
  readonly times: Partial<Record<DeliveryStatus, number>>;
}

/** One notification's record. */
export interface NotificationRecord {
  readonly id: string;
  readonly userId: string;
  readonly templateId: string;
  readonly templateVersion: string;
  readonly status: NotificationStatus;
  readonly createdAt: number;
  readonly deliveries: Delivery[];
}

/** A delivery's step forward. */
export interface Settlement {
  readonly id: string;
  readonly channel: ChannelName;
  readonly status: DeliveryStatus;
  readonly attempts: number;
  readonly reason?: string;
  readonly provider?: string;
  readonly providerMessageId?: string;
}

/**
 * The record per notification, with one delivery per channel: the status people read and the ledger workers settle in, in one.
 * A delivery only moves forward: a step back is kept as history and does not change its status.
 * Methods throw REDIS_UNAVAILABLE when Redis is away.
 */
export interface Deliveries {
  /** Writes records, each at the latest when its id is told. Writing one again changes nothing. */
  create(records: readonly NewRecord[]): Promise<Outcome<unknown>[]>;
  /**
   * Claims ids made from idempotency keys before anything else is done with them. `open`: go on (it is new, or may never have been queued); `queued`: the same request was queued
   * before, do nothing; `mismatch`: the id was used for another request.
   */
  claim(claims: readonly Claim[]): Promise<Outcome<'open' | 'queued' | 'mismatch'>[]>;
  /** Whether the same request was queued before under this id. */
  wasQueued(claim: Claim): Promise<boolean>;
  /** Notes that what was claimed is queued, so that a repeat does nothing for 7 days. */
  markQueued(claims: readonly Claim[]): Promise<void>;
  /** Moves deliveries forward. May come before `create` of the same record has; a record that is gone (retention) stays gone. */
  settle(steps: readonly Settlement[]): Promise<Outcome<unknown>[]>;
  /** Notes that notifications were read in the inbox. */
  markRead(ids: readonly string[]): Promise<void>;
  /** @throws NOTIFICATION_NOT_FOUND */
  get(id: string): Promise<NotificationRecord>;
}
