/** What every channel worker is made of. */
export { type Channel, type ChannelEvents, type ChannelWorkerOptions, type Delivered, runChannel } from './channel.js';
