/** The SMS channel. */
export { sms } from './sms.js';
