/** Seals and opens what must not be readable at rest. */
export { installationSecret } from './installation.js';
export { createVault, keyedHash, type Purpose, type Vault } from './vault.js';
