import type { ChannelName, DeliveryStatus, NotificationStatus } from '@carillon/contracts';
import type { Outcome } from '@carillon/redis';

/** What is written when a notification is accepted. */
export interface NewRecord {
  readonly id: string;
  readonly userId: string;
  readonly templateId: string;
  readonly templateVersion: string;
  readonly channels: readonly ChannelName[];
  /** Sealed: a category may tell what somebody comes for. */
  readonly category?: string | undefined;
  /** Hash of the key by which it can be canceled together with others. */
  readonly cancellationHash?: string | undefined;
  /** ms since the epoch. */
  readonly createdAt: number;
}

/** The use of an idempotency key: the id made from it, and what it was used for. */
export interface Claim {
  readonly id: string;
  /** Hash of the request. */
  readonly requestHash: string;
}

/** Names one delivery: a notification, a channel and, where a person has several addresses there, the address by its opaque id. */
export interface DeliveryRef {
  readonly id: string;
  readonly channel: ChannelName;
  readonly address?: string | undefined;
}

/** What is told of one step of a delivery. */
export interface StepDetail {
  readonly attempts: number;
  readonly reason?: string;
  readonly provider?: string;
  readonly providerMessageId?: string;
  /** Sent again although an earlier try may have been sent. */
  readonly resent?: boolean;
}

/** A delivery's step forward. */
export interface Settlement extends DeliveryRef, StepDetail {
  readonly status: DeliveryStatus;
  /** The owner of the claim that this ends; `ANYBODY` for who may end any. Without it, a claim that is open is not touched. */
  readonly by?: string | undefined;
}

/** The owner of claims that a renderer makes and a worker goes on with: of what goes to the user itself, where a repeat shows nothing twice. */
export const HOUSE = 'house';
/** Ends a claim whoever has it. */
export const ANYBODY = '*';

/** What became of a step: noted; known already; or refused, since somebody else has a claim on the delivery. */
export type Noted = 'noted' | 'known' | 'refused';

/** One delivery, as people read it. */
export interface Delivery {
  readonly channel: ChannelName;
  /** Opaque id of the address where there may be several (a device), else null. */
  readonly address: string | null;
  readonly status: DeliveryStatus;
  /** Why, where there is a why: a code of the error catalogue, or a delivery reason. */
  readonly reason: string | null;
  readonly attempts: number;
  readonly provider: string | null;
  readonly providerMessageId: string | null;
  /** Whether it was sent again although an earlier try may have been sent. */
  readonly resent: boolean;
  /** When it took its last step, ms since the epoch. */
  readonly at: number;
  /** When it first reached each status it has had, ms since the epoch. */
  readonly times: Partial<Record<DeliveryStatus, number>>;
  /** When the recipient first did what the provider tells of; ms since the epoch. */
  readonly engagement: Partial<Record<Engagement, number>>;
}

/** What a recipient may do with a message. */
export const engagements = ['opened', 'clicked', 'complained', 'unsubscribed'] as const;
export type Engagement = (typeof engagements)[number];

/** One notification's record. */
export interface NotificationRecord {
  readonly id: string;
  readonly userId: string;
  readonly templateId: string;
  readonly templateVersion: string;
  /** Sealed, as it was given. */
  readonly category: string | null;
  readonly status: NotificationStatus;
  readonly createdAt: number;
  readonly deliveries: Delivery[];
}

/** Some of a user's records. */
export interface RecordPage {
  readonly data: NotificationRecord[];
  /** Absent on the last page. */
  readonly nextCursor?: string;
}

/** A worker is about to call a provider. */
export interface Attempt extends DeliveryRef {
  /** 1 for the first. */
  readonly attempts: number;
  /** Whose claim it is: only its owner ends it. Asking again by the same name is the same claim. */
  readonly by: string;
  /** ms after which a claim that was not settled counts as abandoned. */
  readonly lease: number;
  /**
   * What to do where an earlier claim is open, or an outcome is left to a person: `refuse`; `redriven`, a person has decided; `resend`, go ahead once the
   * claim's time is over; `repeat`, go ahead at once, for a repeat replaces what is shown; `ours`, go ahead and note nothing, for the claim was made for
   * this very try.
   */
  readonly open: 'refuse' | 'redriven' | 'resend' | 'repeat' | 'ours';
}

/** Whether the worker may go ahead. */
export type Begun =
  /** It has the claim; whatever comes of it must be settled. */
  | { readonly state: 'go'; readonly resent: boolean }
  /** Nothing is to be sent any more: it was sent, canceled, skipped. */
  | { readonly state: 'ended'; readonly status: DeliveryStatus }
  /** An earlier try was begun at `at` and not settled: it is under way until `until`, or was abandoned. `noted`: it is known as unknown. */
  | {
      readonly state: 'open';
      readonly at: number;
      readonly until: number;
      readonly attempts: number;
      readonly noted: boolean;
      /** It was sent again once already. */
      readonly resent: boolean;
    };

/** What a provider reported of a delivery. Without status and engagement the record stays as it is, and the report is only known from then on. */
export interface ReceivedStep extends DeliveryRef {
  /** The same report again changes nothing. */
  readonly eventId: string;
  /** ms since the epoch. */
  readonly at: number;
  readonly status?: DeliveryStatus;
  readonly engagement?: Engagement;
  readonly reason?: string;
  readonly provider: string;
  readonly providerMessageId?: string;
  /** How long the report is known by its id, ms; three days unless told. */
  readonly knownFor?: number;
}

/** What became of a wish to cancel one delivery. */
export interface Cancellation extends DeliveryRef {
  /** True if it will never be sent; false if it was, or is on its way. Final. */
  readonly canceled: boolean;
}

/**
 * The record per notification, with one delivery per channel and address: the status people read and the ledger workers claim in, in one.
 * What has ended stays ended, and moves only further (sent, delivered, bounced); while open, a delivery moves from try to try.
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
  /** Claims deliveries for one try each, unless they have ended or an earlier try is open: a compare-and-set on the record. */
  begin(attempts: readonly Attempt[]): Promise<Outcome<Begun>[]>;
  /**
   * Moves deliveries forward. A step back (pending, held, skipped, failed) is refused while somebody else has a claim. An outcome that is left
   * unknown to a person has the reason `OUTCOME_UNKNOWN`. May come before `create` of the same record has; a record that is gone (retention) stays gone.
   */
  settle(steps: readonly Settlement[]): Promise<Outcome<Noted>[]>;
  /** Whether reports have been noted before, in order. */
  heard(steps: readonly Pick<ReceivedStep, 'id' | 'eventId' | 'provider'>[]): Promise<boolean[]>;
  /** Notes what providers report. Answers whether each was news of a record that is there. */
  receive(steps: readonly ReceivedStep[]): Promise<Outcome<boolean>[]>;
  /** Stops what has not been sent and is not being sent, for good. Answers for each delivery that is stopped, or out; not for what was skipped. @throws NOTIFICATION_NOT_FOUND */
  cancel(id: string): Promise<Cancellation[]>;
  /** Ids of the notifications that were given a cancellation key. */
  keyedBy(cancellationHash: string): Promise<string[]>;
  /** Notes that notifications were read in the inbox. */
  markRead(ids: readonly string[]): Promise<void>;
  /** @throws NOTIFICATION_NOT_FOUND */
  get(id: string): Promise<NotificationRecord>;
  /**
   * Records older than `age` ms in which something is still open; forgets on the way those in which nothing is. At most
   * about `limit` are given.
   */
  open(age: number, limit: number): Promise<NotificationRecord[]>;
  /** A user's records, newest first, some at a time, as far back as records are kept. */
  of(userId: string): AsyncIterable<NotificationRecord[]>;
  /**
   * A page of a user's records, newest first, as far back as records are kept; `cursor` is the `nextCursor` of the page before. A page is full unless it is the
   * last one. @throws FIELD_INVALID for a cursor that is none of ours
   */
  page(userId: string, request: { readonly limit: number; readonly cursor?: string | undefined }): Promise<RecordPage>;
  /** Stops whatever has not been sent to a user of what was created until `before` (ms since the epoch), for good. */
  stop(userId: string, before: number): Promise<void>;
  /** Removes a user's records of notifications created until `before` (ms since the epoch). Answers how many there were. */
  forget(userId: string, before: number): Promise<number>;
}
