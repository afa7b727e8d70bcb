/** Erases and exports a person. */
export type { ErasureReport, Erasures } from './erasure.js';
export { createErasures } from './erasures.js';
export type { ErasureParts } from './parts.js';
