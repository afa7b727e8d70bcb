/** What every process has: configuration, logs, metrics, health, shutdown. Owner of pino and prom-client; the only reader of `process.env`. */
export { isReady, serveAdmin } from './admin.js';
export { type ConfigWith, configFromOptions, type Environment, readConfig } from './config.js';
export { renderConfigurationTable } from './configuration-page.js';
export { CLOSE_DEADLINE, type CloseFailure, createDeferred, type Deferred } from './deferred.js';
export { environment } from './environment.js';
export { createLog, type Log, type LogFields, noLog } from './log.js';
export { createMetrics, type Metrics, noMetrics, type PrometheusMetrics, type QueueLength } from './metrics.js';
export { type ProcessOptions, type ProcessParts, runProcess, type Started } from './process.js';
export { checkStart, type RedisFacts, type RedisProbe, type StartCheck } from './production.js';
export type { Config, DeliveryMode, LogLevel, Options, PhiPolicy, Quota, Risk, SettingName, TrustProxy } from './settings.js';
export { openTls, type Tls, type TlsCredentials } from './tls.js';
export { workerEvents } from './worker-events.js';
