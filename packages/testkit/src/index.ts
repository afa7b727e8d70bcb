/** Real parts for tests: private Redis servers, clusters, sockets, processes. */
export { freePort } from '@carillon/embedded';
export { type SpawnedProcess, type SpawnOptions, spawnProcess } from './process.js';
export { redisPlaces, startCluster, startRedis, type TestCluster, type TestRedis } from './redis.js';
export { type ReceivedFrame, TestClient } from './test-client.js';
export { type WaitOptions, waitFor } from './wait-for.js';
