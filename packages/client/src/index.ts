/** One user's inbox in a browser, React Native or Node: live, complete, without dependencies. */

export {
  CarillonClientError,
  type Client,
  type ClientEvents,
  type ClientOptions,
  type ClientState,
  type ClientStorage,
  type InboxView,
  type Snapshot,
  type Token,
} from './client.js';
export { createClient } from './create-client.js';
export type { Channel, Filter, Json, Notification, Preferences } from './notification.js';
