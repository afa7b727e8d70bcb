/** The record per notification, channel and address: status and ledger in one. */
export type * from './deliveries.js';
export { ANYBODY, engagements, HOUSE } from './deliveries.js';
export { createDeliveries } from './redis-deliveries.js';
