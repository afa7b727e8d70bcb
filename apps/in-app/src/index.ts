/** The in-app channel. */
export { createInAppChannel, inApp } from './in-app.js';
