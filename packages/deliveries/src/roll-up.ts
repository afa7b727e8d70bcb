import type { DeliveryStatus, NotificationStatus } from '@carillon/contracts';

/** How far along each status is. A delivery's status is the furthest it has reached. */
export const deliveryRank: Readonly<Record<DeliveryStatus, number>> = {
  pending: 0,
  held: 1,
  sending: 2,
  unknown: 3,
  failed: 4,
  skipped: 4,
  canceled: 4,
  expired: 4,
  sent: 5,
  delivered: 6,
  bounced: 7,
};

const OPEN: readonly DeliveryStatus[] = ['pending', 'held', 'sending', 'unknown'];

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
