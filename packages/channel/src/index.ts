/** What every channel is made of: its worker, its claims, providers with failover and what they share, receipts. */
export { failed, handEach, meaningOfStatus, retryAfterOf, unlessAborted } from './call.js';
export type { Channel, Delivered } from './channel.js';
export { type WatchedConnections, watchConnections } from './connections.js';
export { allOrNone, type ChannelModule, type DirectParts } from './module.js';
export { createPreviews, type Preview, type Previews } from './previews.js';
export { Proof } from './proof.js';
export { CALL_TIMEOUT_MS, type Message, type Provider, type Receipt, type ReceivedEvents, type Receiver, type Sent } from './provider.js';
export { createProviderChannel, type ProviderChannelOptions, type ProviderEvents } from './provider-channel.js';
export { createReceive, type ReceiptParts, type Receive } from './receipts.js';
export { publicUrlOf, runChannelProcess, type StartParts, startChannel } from './start.js';
export { type ChannelEvents, type ChannelWorkerOptions, runChannel } from './worker.js';
