import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Audit, connectAudit } from '@carillon/audit';
import { startChannel } from '@carillon/channel';
import { createDeliveries, type Deliveries } from '@carillon/deliveries';
import { createDirectory, type Directory } from '@carillon/directory';
import { embeddedRedis, openDataDir } from '@carillon/embedded';
import { createInbox, type Inbox } from '@carillon/inbox';
import type { StageWorker } from '@carillon/queue';
import type { PiiDetector } from '@carillon/redaction';
import { createRedis, type Redis } from '@carillon/redis';
import { runRenderer } from '@carillon/renderer';
import { CLOSE_DEADLINE, type Config, type ConfigWith, type Deferred, type Log, type Metrics, workerEvents } from '@carillon/service';
import { createTemplates, type Templates } from '@carillon/templates';
import { connectVault, type KeyProvider, type Vault } from '@carillon/vault';
import { channels, checkProviders } from './channels.js';

/** Settings after standalone has supplied what an operator did not. */
export type CompleteConfig = ConfigWith<'redisUrl' | 'apiKeys' | 'jwtSecret' | 'encryptionKeys'>;

/** What the roles of one process share. */
export interface Base {
  readonly config: CompleteConfig;
  /** Whether Redis is our own child, or that of another process of this checkout. */
  readonly embedded: boolean;
  /** Where generated keys and the embedded Redis's data are. */
  readonly dataDir: string;
  readonly vault: Vault;
  readonly audit: Audit;
  readonly templates: Templates;
  /** For callers, who must hear at once when Redis is away. */
  readonly redis: Redis;
  readonly deliveries: Deliveries;
  readonly inbox: Inbox;
  readonly directory: Directory;
  /** For workers, who wait until Redis is back. */
  readonly forWorkers: { readonly redis: Redis; readonly deliveries: Deliveries; readonly directory: Directory };
  readonly log: Log;
  readonly metrics: Metrics;
  readonly defer: Deferred['defer'];
  readonly fail: (error: unknown) => void;
  /** Wraps data keys in the place of the key ring. */
  readonly keyProvider?: KeyProvider | undefined;
  /** Finds personal data in the place of the built-in detector. */
  readonly detector?: PiiDetector | undefined;
}

/** The folder `.data` of this checkout; outside of one, of the working directory. */
export function defaultDataDir(): string {
  const besideApps = fileURLToPath(new URL('../../../.data', import.meta.url));
  return /[\\/]node_modules[\\/]/.test(besideApps) ? '.data' : besideApps;
}

/**
 * Connects to Redis, or starts the embedded one, and builds what every role needs. Everything is undone through `defer`.
 *
 * @throws REDIS_UNAVAILABLE, CONFIGURATION_INVALID
 */
export async function openBase(
  parts: Pick<Base, 'log' | 'metrics' | 'defer' | 'fail' | 'keyProvider' | 'detector'> & {
    config: Config;
    dataDir: string;
    say?: (line: string) => void;
  },
): Promise<Base> {
  const { defer, say = () => {} } = parts;
  checkProviders(parts.config);
  const { config, embedded } = await complete(parts.config, parts.dataDir, defer, say);
  const open = async (temper: 'prompt' | 'patient') => {
    const redis = await createRedis({ url: config.redisUrl, cluster: config.redisCluster }, { prefix: config.redisPrefix, temper });
    defer(`redis (${temper})`, redis.close);
    return redis;
  };
  const limits = { maxItems: config.inboxMax, retention: config.retentionInbox };
  const redis = await open('prompt');
  // Beside an embedded Redis there is a folder that is ours.
  const beside = (name: string) => (embedded ? join(parts.dataDir, name) : undefined);
  const audit = await connectAudit(config, { redis, role: 'standalone', folder: beside('audit'), log: parts.log, defer });
  const vault = await connectVault(config, { redis, audit, defer, folder: beside('user-keys'), provider: parts.keyProvider });
  const stores = (on: Redis) => ({
    redis: on,
    deliveries: createDeliveries({ redis: on, retention: config.retentionStatus }),
    directory: createDirectory({ redis: on, vault }),
  });
  const forCallers = stores(redis);
  const forWorkers = stores(await open('patient'));
  const inbox = createInbox({ redis: forCallers.redis, vault, limits, onRead: forCallers.deliveries.markRead });
  defer('inbox', inbox.close);
  const templates = await createTemplates(redis, { phiPolicy: config.phiPolicy });
  defer('templates', templates.close);
  return { ...parts, ...forCallers, inbox, config, embedded, vault, audit, templates, forWorkers };
}

async function complete(config: Config, dataDir: string, defer: Deferred['defer'], say: (line: string) => void) {
  const needsKeys = config.encryptionKeys === undefined || config.jwtSecret === undefined || config.apiKeys === undefined;
  const data = needsKeys || config.redisUrl === undefined ? openDataDir(dataDir) : undefined;
  const generated = data && {
    apiKeys: `standalone:${data.keys.apiKey}`,
    jwtSecret: data.keys.jwtSecret,
    encryptionKeys: data.keys.encryptionKeys,
  };
  const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
  let redisUrl = config.redisUrl;
  if (redisUrl === undefined && data) {
    const redis = await embeddedRedis(data, { log: say });
    defer('embedded redis', redis.close);
    redisUrl = redis.url;
  }
  return { config: { ...config, ...generated, ...given, redisUrl } as CompleteConfig, embedded: config.redisUrl === undefined };
}

/** Starts the renderer and the workers of the channels this process has. They run until the function returned is called. */
export async function startWorkers(base: Base): Promise<() => Promise<void>> {
  const { vault, audit, templates, config, detector, forWorkers } = base;
  const common = { ...forWorkers, vault, audit, partitions: config.partitions, events: workerEvents(base) };
  const started: StageWorker[] = [];
  const stop = async () => {
    await Promise.all(started.map((worker) => worker.close(WORKER_DEADLINE_MS)));
  };
  try {
    started.push(await runRenderer({ ...common, templates, piiPolicy: config.piiPolicy, ...(detector && { detector }) }));
    for (const channel of channels)
      started.push(await startChannel(channel, { ...common, config, log: base.log, previewWithoutProvider: true }));
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The stages `startWorkers` works on. */
export const STAGES = ['render', ...channels.map(({ definition }) => definition.name)];

/** Time workers have to finish what they hold, ms; what is left of the process's deadline is for closing connections. */
const WORKER_DEADLINE_MS = CLOSE_DEADLINE - 5000;
