/** A WebSocket node: proves who a client is and streams its inbox to it. Owner of ws. */

export type { AdmissionOptions, Entry, Refusal } from './admission.js';
export type { AttachableSocket } from './attachment.js';
export { createGateway, type Gateway } from './gateway.js';
export { type GatewayLog, type GatewayMetrics, type GatewayOptions, type GatewayParts, gatewayDefaults } from './parts.js';
export { type GatewayRoleParts, openGateway } from './role.js';
export { createSeats, type Seats } from './seats.js';
export { type Listener, type ListenOptions, listen } from './server.js';
