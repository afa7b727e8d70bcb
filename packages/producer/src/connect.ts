import { CarillonError, parse, type Template } from '@carillon/contracts';
import { createDeliveries } from '@carillon/deliveries';
import { createRedis } from '@carillon/redis';
import { createTemplates } from '@carillon/templates';
import { createVault } from '@carillon/vault';
import { z } from 'zod';
import type { Producer } from './producer.js';
import { createProducer } from './redis-producer.js';

const optionsSchema = z.strictObject({
  redisUrl: z.string().min(1),
  redisCluster: z.union([z.boolean(), z.literal('auto')]).optional(),
  redisPrefix: z.string().min(1).default('notification:'),
  encryptionKeys: z.string().min(1),
  partitions: z.number().int().min(1).max(64).default(1),
  /** How long records of notifications are kept, ms: as the workers have it. */
  retentionStatus: z
    .number()
    .positive()
    .default(30 * 24 * 3600 * 1000),
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
  const { redisUrl, redisCluster, redisPrefix, encryptionKeys, partitions, retentionStatus } = parse(
    optionsSchema,
    options,
    'CONFIGURATION_INVALID',
  );
  const vault = createVault(encryptionKeys);
  const redis = await createRedis({ url: redisUrl, cluster: redisCluster }, { prefix: redisPrefix, temper: 'prompt' });
  try {
    const templates = await createTemplates(redis);
    const deliveries = createDeliveries({ redis, retention: retentionStatus });
    const producer = await createProducer({ redis, vault, templates, deliveries, partitions });
    const close = async () => {
      await producer.close();
      await templates.close();
      await redis.close();
    };
    let closing: Promise<void> | undefined;
    return { ...producer, registerTemplate: templates.register, close: () => (closing ??= close()) };
  } catch (error) {
    await redis.close();
    throw error instanceof CarillonError ? error : new CarillonError('INTERNAL', { cause: error });
  }
}
