import {
  CarillonError,
  type Notification,
  type NotificationRequest,
  notificationIdSchema,
  parse,
  type Template,
  userIdSchema,
} from '@carillon/contracts';
import { type AttachableSocket, type Gateway, openGateway } from '@carillon/gateway';
import { type Canceled, type CancelTarget, createProducer, type Producer, type QueueResult } from '@carillon/producer';
import { openQueueViews } from '@carillon/queue';
import type { PiiDetector } from '@carillon/redaction';
import { serverFacts } from '@carillon/redis';
import {
  type Config,
  checkStart,
  configFromOptions,
  createDeferred,
  createLog,
  environment,
  noMetrics,
  type Options,
} from '@carillon/service';
import type { KeyProvider } from '@carillon/vault';
import { z } from 'zod';
import { type Base, defaultDataDir, openBase, STAGES, startWorkers } from './base.js';

/** Options mirror the environment (`REDIS_URL` is `redisUrl`); what is not given is read from it. */
export interface NotificationServiceOptions extends Options {
  /** Folder for generated keys and the embedded Redis; `.data` unless told. */
  readonly dataDir?: string;
  /**
   * Wraps the keys of people in the place of `encryptionKeys`, which then wrap nothing and are still asked for where they are without it. Every process
   * that uses the same Redis must have it, so all of them are programs with this option.
   */
  readonly keyProvider?: KeyProvider;
  /** Finds personal data in messages that leave the house, in the place of the detector that comes with Carillon. */
  readonly detector?: PiiDetector;
}

interface Running {
  readonly base: Base;
  readonly producer: Producer;
}

const pageSchema = z.object({ limit: z.number().int().min(1).max(1000), offset: z.number().int().min(0) });
const isSocket = (value: unknown) =>
  ['send', 'on'].every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function');
const clientSchema = z.object({ userId: userIdSchema, ws: z.custom(isSocket, 'must be a socket with send and on') });

/** A copy that what the caller does next cannot change; what cannot be copied is refused by who reads it. */
function snapshot<T>(value: T): T {
  try {
    return structuredClone(value);
  } catch {
    return value;
  }
}

/** Who acts through the library, to the audit trail: this process. */
const LIBRARY = { type: 'system', name: 'library' } as const;

/** Pause between looks at whether the queues are worked off, ms. */
const IDLE_POLL_MS = 10;

/**
 * Notifications as a library: the whole of Carillon in this process. Nothing is started or connected before the first call that needs
 * it; without a `redisUrl` an embedded Redis is started or joined then. Whoever made it closes it.
 */
export class NotificationService {
  readonly #config: Config;
  /** Where its data is, and what stands in the place of parts of ours. */
  readonly #given: Pick<Base, 'dataDir' | 'detector' | 'keyProvider'>;
  readonly #deferred = createDeferred();
  #running: Promise<Running> | undefined;
  /** What `#running` resolved with. */
  #ready: Running | undefined;
  #gateway: Promise<Gateway> | undefined;
  /** Sockets registered before there was a gateway. */
  #attaching: Promise<unknown> | undefined;
  #workers: Promise<() => Promise<void>> | undefined;
  #closed = false;

  /** @throws CONFIGURATION_INVALID naming every wrong option or variable */
  constructor(options: NotificationServiceOptions = {}) {
    const { dataDir = defaultDataDir(), keyProvider, detector, ...settings } = options;
    this.#config = configFromOptions(settings, [], environment);
    this.#given = { dataDir, keyProvider, detector };
  }

  /** Registers a template. The same content is the same version and writes nothing. @throws TEMPLATE_INVALID, FIELD_INVALID, REDIS_UNAVAILABLE */
  async registerTemplate(template: Template): Promise<{ id: string; version: string; changed: boolean }> {
    const { audit, templates } = (await this.#open()).base;
    const registered = await templates.register(template);
    if (registered.changed) audit.note({ actor: LIBRARY, action: 'template.registered', ids: [registered.id] });
    return registered;
  }

  /** Queues a notification; resolves with its id when Redis has it. For what it throws see `Producer`. */
  async queueNotification(notification: NotificationRequest): Promise<string> {
    if (this.#ready) return this.#ready.producer.queueNotification(notification);
    const copy = snapshot(notification);
    return (await this.#open()).producer.queueNotification(copy);
  }

  /** Queues many, each with its own result, in order. */
  async queueNotifications(list: readonly NotificationRequest[]): Promise<QueueResult[]> {
    if (this.#ready) return this.#ready.producer.queueNotifications(list);
    const copy = snapshot(list);
    return (await this.#open()).producer.queueNotifications(copy);
  }

  /** Cancels what has not been sent, by id or by cancellation key. Final. For what it answers and throws see `Producer`. */
  async cancel(target: string | CancelTarget): Promise<Canceled> {
    return (await this.#open()).producer.cancel(target);
  }

  /** Marks one as read. @throws NOTIFICATION_NOT_FOUND for one that is not in this user's inbox */
  async markAsRead(userId: string, notificationId: string): Promise<void> {
    parse(z.object({ userId: userIdSchema }), { userId });
    if (!notificationIdSchema.safeParse(notificationId).success)
      throw new CarillonError('NOTIFICATION_NOT_FOUND', { field: 'notificationId' });
    const { audit, inbox } = (await this.#open()).base;
    await inbox.markAsRead(userId, notificationId);
    audit.note({ actor: LIBRARY, action: 'inbox.changed', ids: [notificationId], users: [userId] });
  }

  /** Marks all of a user's notifications as read. */
  async markAllAsRead(userId: string): Promise<void> {
    parse(z.object({ userId: userIdSchema }), { userId });
    const { audit, inbox } = (await this.#open()).base;
    await inbox.markAllAsRead(userId);
    audit.note({ actor: LIBRARY, action: 'inbox.changed', users: [userId] });
  }

  /** A user's inbox, newest first; `offset` counts notifications to skip, `limit` is 1–1000. @throws FIELD_INVALID */
  async getNotifications(userId: string, limit = 50, offset = 0): Promise<Notification[]> {
    parse(pageSchema.extend({ userId: userIdSchema }), { userId, limit, offset });
    const { audit, inbox } = (await this.#open()).base;
    const { data } = await inbox.page(userId, { limit, offset });
    audit.note({ actor: LIBRARY, action: 'inbox.viewed', users: [userId], ids: data.map(({ id }) => id) });
    return data;
  }

  /** How many notifications in a user's inbox are unread. */
  async getUnreadCount(userId: string): Promise<number> {
    parse(z.object({ userId: userIdSchema }), { userId });
    return (await (await this.#open()).base.inbox.head(userId)).unreadCount;
  }

  /**
   * Sends a user's frames to a socket from this moment on. Outbound only: it is neither authenticated nor listened to.
   *
   * @throws FIELD_INVALID for what is no socket
   */
  registerClient(userId: string, ws: AttachableSocket): void {
    parse(clientSchema, { userId, ws });
    const attaching = this.gateway()
      .then((gateway) => gateway.attach(userId, ws))
      .catch((error) => this.#report(error));
    // While the service is still opening, what is called next waits for its turn behind this.
    if (!this.#ready) this.#attaching = Promise.all([this.#attaching, attaching]);
  }

  /** Takes back what `registerClient` added, for one socket or all of the user; closes none. */
  unregisterClient(userId: string, ws?: AttachableSocket): void {
    void this.#gateway?.then(
      (gateway) => gateway.detach(userId, ws),
      () => {},
    );
  }

  /** Works off what is waiting and due for the channels of this process, then returns. */
  async processQueue(): Promise<void> {
    const { base } = await this.#open();
    const views = await openQueueViews(base.redis, base.config.partitions);
    const stop = this.#workers ? undefined : await startWorkers(base);
    try {
      while (!(await views.idle(STAGES))) await new Promise((resolve) => setTimeout(resolve, IDLE_POLL_MS));
    } finally {
      await stop?.();
      await views.close();
    }
  }

  /** Starts the workers of this process; they run until `close`. Called again, it changes nothing. */
  async start(): Promise<void> {
    if (this.#closed) throw new CarillonError('SERVICE_CLOSED');
    this.#workers ??= this.#open()
      .then(async ({ base }) => {
        const stop = await startWorkers(base);
        base.defer('workers', stop);
        return stop;
      })
      .catch((error) => {
        this.#workers = undefined;
        throw error;
      });
    await this.#workers;
  }

  /** Finishes what is under way and closes everything this service opened. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ready = undefined;
    const failures = await this.#deferred.close();
    for (const { error } of failures) this.#report(error);
  }

  /** The gateway of this service, for `WebSocketServer`. */
  gateway(): Promise<Gateway> {
    this.#gateway ??= this.#opening()
      .then(({ base }) => openGateway(base))
      .catch((error) => {
        this.#gateway = undefined;
        throw error;
      });
    return this.#gateway;
  }

  /** Opens what is not open, after the sockets that were registered meanwhile. */
  async #open(): Promise<Running> {
    const running = await this.#opening();
    if (this.#attaching) await this.#attaching;
    return running;
  }

  #opening(): Promise<Running> {
    if (this.#closed) return Promise.reject(new CarillonError('SERVICE_CLOSED'));
    this.#running ??= this.#build().catch((error) => {
      // The next call tries again: Redis may be back by then.
      this.#running = undefined;
      throw error;
    });
    return this.#running;
  }

  async #build(): Promise<Running> {
    const { defer } = this.#deferred;
    const log = createLog({ level: this.#config.logLevel, name: 'carillon' });
    await checkStart({ config: this.#config, probe: serverFacts }, log);
    const base = await openBase({
      ...this.#given,
      config: this.#config,
      log,
      metrics: noMetrics,
      defer,
      fail: (error) => this.#report(error),
    });
    const producer = createProducer({ ...base, partitions: base.config.partitions });
    defer('producer', producer.close);
    this.#ready = { base, producer };
    return this.#ready;
  }

  #report(error: unknown): void {
    createLog({ level: this.#config.logLevel, name: 'carillon' }).error('failed in the background', { error });
  }
}
