/** To whom and whether: people and how they are reached, their devices and wishes, and the addresses nothing may be sent to. */
export { addressesFor } from './addresses.js';
export type * from './directory.js';
export { createDirectory, type DirectoryParts } from './redis-directory.js';
export { wants } from './wishes.js';
