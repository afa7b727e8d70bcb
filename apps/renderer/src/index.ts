/** Render jobs in, channel jobs out; and what looks after lost jobs. */
export { type Reconciler, runReconciler } from './reconciler.js';
export { type RendererEvents, type RendererOptions, runRenderer } from './renderer.js';
