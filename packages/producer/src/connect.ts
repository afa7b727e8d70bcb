import { openAudit } from '@carillon/audit';
import { CarillonError, parse, type Template } from '@carillon/contracts';
import { createDeliveries } from '@carillon/deliveries';
import { createRedis } from '@carillon/redis';
import { createTemplates } from '@carillon/templates';
import { connectVault } from '@carillon/vault';
import { z } from 'zod';
import type { Producer } from './producer.js';
import { createProducer } from './redis-producer.js';

const optionsSchema = z.strictObject({
  redisUrl: z.string().min(1),
  redisCluster: z.union([z.boolean(), z.literal('auto')]).optional(),
  redisPrefix: z.string().min(1).default('notification:'),
  encryptionKeys: z.string().min(1),
  keysRedisUrl: z.string().min(1).optional(),
  /** Folder of the data keys, where the installation keeps them in files: `.data/user-keys` beside an embedded Redis. */
  keysFolder: z.string().min(1).optional(),
  partitions: z.number().int().min(1).max(64).default(1),
  /** How long records of notifications are kept, ms: as the workers have it. */
  retentionStatus: z
    .number()
    .positive()
    .default(30 * 24 * 3600 * 1000),
  phiPolicy: z.enum(['standard', 'strict']).default('standard'),
  /** Where the audit trail is kept: `file:<folder>`, `stdout` or `redis`. */
  auditSink: z.string().min(1).default('redis'),
  /** How long Redis keeps the audit trail, where it is the one to keep it, ms. */
  retentionAudit: z
    .number()
    .positive()
    .default(6 * 365 * 24 * 3600 * 1000),
  /** Told when the audit trail cannot be written, or is not whole: somebody must look. A warning of the process unless given. */
  onError: z
    .custom<(message: string) => void>((value) => typeof value === 'function')
    .default(() => (message: string) => process.emitWarning(message)),
});

/** Where the installation is and with which keys it seals; each as the setting of the same name, see docs/configuration.md. */
export type ConnectOptions = z.input<typeof optionsSchema>;

/** A producer of its own, with the verbs a customer's backend needs. */
export interface ConnectedProducer extends Producer {
  /** Registers a template. The same content is the same version. @throws TEMPLATE_INVALID, FIELD_INVALID, REDIS_UNAVAILABLE */
  registerTemplate(template: Template): Promise<{ id: string; version: string; changed: boolean }>;
}

/**
 * Connects a backend to an installation of Carillon. Close it when done.
 *
 * @throws CONFIGURATION_INVALID, REDIS_UNAVAILABLE, SEAL_BROKEN (other encryption keys than the installation's)
 */
export async function connectProducer(options: ConnectOptions): Promise<ConnectedProducer> {
  const config = parse(optionsSchema, options, 'CONFIGURATION_INVALID');
  const { redisUrl, redisCluster, redisPrefix, partitions, retentionStatus } = config;
  const redis = await createRedis({ url: redisUrl, cluster: redisCluster }, { prefix: redisPrefix, temper: 'prompt' });
  const opened = [redis.close];
  const closeAll = async () => {
    for (const close of opened.splice(0).reverse()) await close();
  };
  try {
    const audit = await openAudit({
      redis,
      sink: config.auditSink,
      retention: config.retentionAudit,
      writer: 'producer',
      events: { error: config.onError },
    });
    opened.push(() => audit.close());
    const vault = await connectVault(config, { redis, audit, folder: config.keysFolder, defer: (_what, close) => opened.push(close) });
    const templates = await createTemplates(redis, { phiPolicy: config.phiPolicy });
    opened.push(templates.close);
    const deliveries = createDeliveries({ redis, retention: retentionStatus });
    const producer = createProducer({ redis, vault, audit, templates, deliveries, partitions });
    opened.push(producer.close);
    let closing: Promise<void> | undefined;
    const registerTemplate = async (template: Template) => {
      const registered = await templates.register(template);
      if (registered.changed)
        audit.note({ actor: { type: 'system', name: 'library' }, action: 'template.registered', ids: [registered.id] });
      return registered;
    };
    return { ...producer, registerTemplate, close: () => (closing ??= closeAll()) };
  } catch (error) {
    await closeAll();
    throw error instanceof CarillonError ? error : new CarillonError('INTERNAL', { cause: error });
  }
}
