export { createInAppChannel } from './in-app.js';
