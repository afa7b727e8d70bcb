/** HTTP: queue, read, register; metrics; Bull Board; OpenAPI. Owner of fastify and Bull Board. */
export { type Api, type ApiOptions, createApi } from './api.js';
export type { ApiParts, BoardQueue } from './parts.js';
export { type ApiRoleParts, type ServedApi, serveApi } from './serve.js';
