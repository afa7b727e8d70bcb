/** The in-app channel. */
export { createInAppChannel, IN_APP_CONCURRENCY } from './in-app.js';
