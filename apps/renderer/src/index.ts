/** Render jobs in, channel jobs out. */
export { type RendererEvents, type RendererOptions, runRenderer } from './renderer.js';
