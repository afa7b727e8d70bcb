export { type RendererEvents, type RendererOptions, runRenderer } from './renderer.js';
