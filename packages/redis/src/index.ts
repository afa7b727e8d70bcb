/** Connections, key names with their hash tags, scripts and batches on one Redis or a cluster. Owner of ioredis. */
export { type RedisAddress, redisError, replyCode, type Temper } from './connection.js';
export { type Keys, userIdIn } from './keys.js';
export type { Pulse } from './line.js';
export { type Call, createRedis, type Outcome, type Redis } from './redis.js';
export { loadScript, type Script } from './script.js';
export { type ServerFacts, serverFacts } from './server-facts.js';
export type { Subscriber } from './subscriber.js';
