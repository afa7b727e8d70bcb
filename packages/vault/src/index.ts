/** Seals what must not be readable at rest, under a key of the person it is about; keeps these keys, wraps them anew, destroys them. */
export { connectVault, type VaultSettings } from './connect.js';
export { fileKeyStore } from './file-key-store.js';
export { createKeyRing, type KeyProvider } from './key-ring.js';
export type { KeyStore } from './key-store.js';
export type { PersonKey, PersonPurpose } from './person-key.js';
export { redisKeyStore } from './redis-key-store.js';
export type { Sweep } from './rotation.js';
export { runSweeps, type SweepEvents } from './sweeping.js';
export { type HousePurpose, openVault, type Vault, type VaultParts } from './vault.js';
