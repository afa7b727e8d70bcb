/** The forward-only record per notification and channel: status and ledger in one. */
export type * from './deliveries.js';
export { createDeliveries } from './redis-deliveries.js';
