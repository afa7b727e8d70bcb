import type { CarillonError, NotificationRequest } from '@carillon/contracts';

/** What became of one request of a list. */
export type QueueResult = { readonly ok: true; readonly id: string } | { readonly ok: false; readonly error: CarillonError };

/** What is to be canceled. */
export type CancelTarget = { readonly id: string } | { readonly cancellationKey: string; readonly userId?: string | undefined };

/** Ids of notifications, by what became of the wish to cancel them. */
export interface Canceled {
  readonly canceled: string[];
  readonly alreadySent: string[];
}

/** The queueing half of Carillon. */
export interface Producer {
  /**
   * Queues one notification. Resolves with its id when Redis has it.
   *
   * @throws FIELD_INVALID, TEMPLATE_NOT_FOUND, TEMPLATE_DATA_MISSING, TEMPLATE_DATA_INVALID, IDEMPOTENCY_MISMATCH (nothing was queued);
   * QUEUE_UNAVAILABLE, QUEUE_FULL (nothing was queued, try again); QUEUE_OUTCOME_UNKNOWN (with `id`; try again with an idempotency key);
   * SERVICE_CLOSED
   */
  queueNotification(request: NotificationRequest): Promise<string>;
  /** Queues many; each has its own result, in order. Never throws for one of them. @throws FIELD_INVALID if it is no list */
  queueNotifications(requests: readonly NotificationRequest[]): Promise<QueueResult[]>;
  /**
   * The same for another caller: idempotency keys of different callers are different, and the audit trail names them. `caller` is the name of an
   * API key; `admin` says that somebody signed in by it, on a page.
   */
  as(caller: string, type?: 'key' | 'admin'): Pick<Producer, 'queueNotification' | 'queueNotifications' | 'cancel'>;
  /**
   * Cancels one notification (by its id) or all with one cancellation key, of one user if told. Final: what is `canceled` is never sent; of what is
   * `alreadySent` something was sent, or was just going out. One of which a part was stopped and a part was out is in both; one with nothing to stop and
   * nothing out (all of it skipped) in neither.
   *
   * @throws NOTIFICATION_NOT_FOUND for an id (not for a key), FIELD_INVALID, QUEUE_UNAVAILABLE
   */
  cancel(target: string | CancelTarget): Promise<Canceled>;
  /** Waits for what is under way. */
  close(): Promise<void>;
}
