/** What a laptop has in place of an operator: a private Redis and generated keys in `.data/`. */
export { chromiumBinary, findRedisBinary, haproxyBinary, installedPrograms, type ProgramName, redisBinary } from './binary.js';
export { type DataDir, type GeneratedKeys, openDataDir } from './data-dir.js';
export { type EmbeddedRedis, embeddedRedis } from './embedded-redis.js';
export { freePort } from './port.js';
export { type RedisServer, type RedisServerOptions, startRedisServer } from './redis-server.js';
export { askRedis } from './resp.js';
