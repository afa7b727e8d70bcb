import { type Audit, connectAudit } from '@carillon/audit';
import { CarillonError, type ChannelName } from '@carillon/contracts';
import { createDeliveries, type Deliveries } from '@carillon/deliveries';
import { createDirectory, type Directory } from '@carillon/directory';
import type { StageWorker } from '@carillon/queue';
import { createRedis, type Redis, serverFacts } from '@carillon/redis';
import { type Config, type Deferred, type Log, runProcess, workerEvents } from '@carillon/service';
import { connectVault, type Vault } from '@carillon/vault';
import { allowed, type Whom } from './allow.js';
import type { Channel } from './channel.js';
import type { ChannelModule } from './module.js';
import { createPreviews, previewProvider } from './previews.js';
import type { Provider } from './provider.js';
import { createProviderChannel, kindsOf, type ProviderEvents } from './provider-channel.js';
import { createRate } from './rate.js';
import { type ChannelEvents, runChannel } from './worker.js';

/** What a channel's worker is started with. */
export interface StartParts {
  readonly config: Config;
  /** A `patient` connection. */
  readonly redis: Redis;
  readonly vault: Vault;
  readonly deliveries: Deliveries;
  readonly directory: Directory;
  readonly events?: ChannelEvents & ProviderEvents;
  /** Hears what became of deliveries; nobody unless told. */
  readonly audit?: Audit | undefined;
  readonly log: Pick<Log, 'warn'>;
  /** Keeps messages for preview where no provider is configured, instead of refusing to start. */
  readonly previewWithoutProvider: boolean;
}

/** Jobs under way for each call to a provider: while some are being called, others are claimed and settled, so that no provider waits for our Redis. */
const JOBS_AHEAD = 1.5;
/** Time for the jobs under way at shutdown, ms. */
const DEADLINE_MS = 20_000;

/**
 * Starts a channel's worker.
 *
 * @throws CONFIGURATION_INVALID if no provider is configured, or one wrongly; REDIS_UNAVAILABLE
 */
export async function startChannel(module: ChannelModule, parts: StartParts): Promise<StageWorker> {
  const { config, redis, vault, deliveries, events, audit } = parts;
  const providers = module.open ? [] : providersOf(module, parts);
  let channel: Closable<Channel> | undefined;
  const closing = (worker?: () => Promise<void>) =>
    closeAll([worker, () => channel?.close?.(), ...providers.map((provider) => () => provider.close?.())]);
  try {
    channel = module.open?.(parts) ?? overProviders(module, providers, parts);
    const worker = await runChannel({
      redis,
      vault,
      deliveries,
      channel,
      partitions: config.partitions,
      concurrency: module.open ? module.concurrency : Math.ceil(module.concurrency * JOBS_AHEAD),
      ...(events && { events }),
      audit,
    });
    return { close: (deadlineMs) => closing(() => worker.close(deadlineMs)) };
  } catch (error) {
    // What hinders the start is what matters, not what goes wrong on the way out.
    await closing().catch(() => undefined);
    throw error;
  }
}

/** Where the HTTP interface is reached from outside; on a laptop, its own address. */
export function publicUrlOf({ publicUrl, httpPort, tlsCert }: Config): string {
  return publicUrl ?? `${tlsCert === undefined ? 'http' : 'https'}://localhost:${httpPort}`;
}

type Closable<T> = T & { close?(): Promise<void> };

/** Closes one after the other, all of them, even if one fails. @throws what the first that failed threw */
async function closeAll(closes: readonly ((() => Promise<void> | undefined) | undefined)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closes) {
    try {
      await close?.();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

function providersOf(
  module: ChannelModule,
  { config, previewWithoutProvider }: Pick<StartParts, 'config' | 'previewWithoutProvider'>,
): Provider[] {
  const providers = module.providers?.(config) ?? [];
  if (providers.length > 0 || previewWithoutProvider || config.delivery === 'sandbox') return providers;
  const message = `the ${module.definition.name} channel has no provider; set ${module.settings}`;
  throw new CarillonError('CONFIGURATION_INVALID', { message });
}

function overProviders(module: ChannelModule, providers: readonly Provider[], parts: StartParts): Channel {
  const { config, redis, vault, directory, events, log } = parts;
  const { definition } = module;
  const perMs = module.rate?.(config);
  // Standing in for a provider that is not there, or for one that must not be called.
  if (providers.length > 0 && config.publicUrl === undefined)
    log.warn('NOTIFICATION_PUBLIC_URL is not set: links in messages lead to this machine', { channel: definition.name });
  const sandbox = previewProvider(
    createPreviews({ redis, vault }),
    providers.length === 0 ? 'preview' : 'sandbox',
    kindsOf(definition),
    definition.name as ChannelName,
  );
  return createProviderChannel({
    definition,
    providers,
    sandbox,
    isLive: providers.length === 0 ? () => false : isLive(config),
    directory,
    rate: perMs === undefined ? undefined : createRate(redis, definition.name, perMs),
    publicUrl: publicUrlOf(config),
    awaitEcho: module.echoes?.(config) ? definition.awaitEcho : 0,
    calls: module.concurrency,
    ...(events && { events }),
  });
}

function isLive(config: Config): (whom: Whom) => boolean {
  if (config.delivery === 'allowlist') return allowed(config.deliveryAllow);
  return () => config.delivery === 'live';
}

/** Runs a process for one channel until it is told to stop; resolves with its exit code. */
export function runChannelProcess(module: ChannelModule): Promise<number> {
  return runProcess(
    module.definition.name.replace('_', '-'),
    { required: ['redisUrl', 'encryptionKeys'], probe: serverFacts },
    async (parts) => {
      const { config, defer, log } = parts;
      // Before anything is connected: who sets it up hears of all that is wrong at once.
      if (!module.open) providersOf(module, { config, previewWithoutProvider: false });
      const redis = await openRedis(config, defer);
      const audit = await connectAudit(config, { redis, role: module.definition.name, log, defer });
      const vault = await connectVault(config, { redis, audit, defer });
      const worker = await startChannel(module, {
        config,
        redis,
        vault,
        deliveries: createDeliveries({ redis, retention: config.retentionStatus }),
        directory: createDirectory({ redis, vault }),
        events: workerEvents(parts),
        audit,
        log,
        previewWithoutProvider: false,
      });
      defer(module.definition.name, () => worker.close(DEADLINE_MS));
      log.info('working', { channel: module.definition.name });
      return { ready: async () => redis.isReady() };
    },
  );
}

async function openRedis(config: Config & { readonly redisUrl: string }, defer: Deferred['defer']): Promise<Redis> {
  const redis = await createRedis(
    { url: config.redisUrl, cluster: config.redisCluster },
    { prefix: config.redisPrefix, temper: 'patient' },
  );
  defer('redis', redis.close);
  return redis;
}
