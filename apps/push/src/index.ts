/** The push channel. Owner of firebase-admin and web-push. */
export { push } from './push.js';
