import type { DeliveryStatus, NotificationStatus } from '@carillon/contracts';

/**
 * How far along each status is. What is open goes from try to try; what has ended only moves further. A failed delivery may still be
 * canceled, so that nobody tries it again, or be sent by another try.
 */
export const deliveryRank: Readonly<Record<DeliveryStatus, number>> = {
  pending: 0,
  held: 1,
  sending: 2,
  unknown: 3,
  failed: 4,
  skipped: 5,
  canceled: 5,
  expired: 5,
  sent: 6,
  delivered: 7,
  bounced: 8,
};

/** What has not ended. */
export const OPEN: readonly DeliveryStatus[] = ['pending', 'held', 'sending', 'unknown'];

/** A whole notification's status from those of its deliveries. */
export function rollUp(statuses: readonly DeliveryStatus[], read: boolean): NotificationStatus {
  const any = (...wanted: readonly DeliveryStatus[]) => statuses.some((status) => wanted.includes(status));
  if (read) return 'read';
  if (any('sent', 'delivered')) return 'delivered';
  if (any(...OPEN)) return 'pending';
  if (any('failed', 'bounced')) return 'failed';
  if (any('skipped')) return 'skipped';
  return any('canceled') ? 'canceled' : 'expired';
}
