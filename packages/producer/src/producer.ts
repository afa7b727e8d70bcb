import type { CarillonError, NotificationRequest } from '@carillon/contracts';

/** What became of one request of a list. */
export type QueueResult = { readonly ok: true; readonly id: string } | { readonly ok: false; readonly error: CarillonError };

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
  /** The same for another caller: idempotency keys of different callers are different. `caller` is the name of an API key. */
  as(caller: string): Pick<Producer, 'queueNotification' | 'queueNotifications'>;
  /** Waits for what is under way. */
  close(): Promise<void>;
}
