/** One user's notifications, stored and live. */
export type * from './inbox.js';
export { createMemoryInbox } from './memory-inbox.js';
export { createInbox, type InboxLimits, LOG_MAX_ENTRIES } from './redis-inbox.js';
