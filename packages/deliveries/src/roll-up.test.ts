import type { DeliveryStatus, NotificationStatus } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { rollUp } from './roll-up.js';

const cases: [DeliveryStatus[], boolean, NotificationStatus][] = [
  [['pending', 'pending'], false, 'pending'],
  [['delivered', 'pending'], false, 'delivered'],
  [['delivered', 'failed'], true, 'read'],
  [['sent', 'failed'], false, 'delivered'],
  [['held', 'failed'], false, 'pending'],
  [['unknown'], false, 'pending'],
  [['failed', 'skipped'], false, 'failed'],
  [['bounced', 'skipped'], false, 'failed'],
  [['skipped', 'canceled'], false, 'skipped'],
  [['canceled', 'expired'], false, 'canceled'],
  [['expired'], false, 'expired'],
];

test.each(cases)('%j, read %j → %s', (statuses, read, expected) => {
  expect(rollUp(statuses, read)).toBe(expected);
});
