import { createHmac, randomUUID } from 'node:crypto';
import { createApiKeys, createRevocations, createTokenIssuer, createTokenVerifier } from '@carillon/access';
import { type Audit, type AuditEvent, createAuditReader } from '@carillon/audit';
import { createPreviews, createReceive, type Previews, type Receiver } from '@carillon/channel';
import { CarillonError } from '@carillon/contracts';
import { createDeliveries, type Deliveries } from '@carillon/deliveries';
import { createDirectory, type Directory } from '@carillon/directory';
import type { ErasureReport, Erasures } from '@carillon/erasure';
import { createInbox, type Inbox } from '@carillon/inbox';
import { createProducer } from '@carillon/producer';
import { openQueueViews, type QueueViews } from '@carillon/queue';
import { createRedis, type Redis } from '@carillon/redis';
import { createDeferred, createLog, createMetrics, type PrometheusMetrics } from '@carillon/service';
import { createTemplates } from '@carillon/templates';
import { startRedis } from '@carillon/testkit';
import type { Vault } from '@carillon/vault';
import { memoryVault } from '@carillon/vault/testing';
import { type Api, type ApiParts, createApi } from '../src/index.js';
import { createOpenings, type Openings } from '../src/opening.js';

/** The bearer token of the tests' API key. */
export const KEY = 'test-key';
/** The Authorization header of the tests' API key. */
export const AUTHORIZED = { authorization: `Bearer ${KEY}` };

const JWT_SECRET = 'a secret of more than thirty-two characters';
/** Where the tests' API is reached from outside. */
export const PUBLIC_URL = 'https://hooks.example/carillon';

/** What the tests' provider signs: the address it calls and the bytes it sends. */
export const signEvents = (url: string, body: string | Buffer) =>
  createHmac('sha256', 'shared with the provider').update(url).update('\n').update(body).digest('hex');
/** Reads the reports of the tests' provider: a JSON list of receipts. */
export const pigeonPost: Receiver = {
  channel: 'email',
  read({ url, headers, body }) {
    if (headers['x-signature'] !== signEvents(url, body)) throw new CarillonError('SIGNATURE_INVALID');
    return JSON.parse(body.toString());
  },
};

/** An API over real parts on a private Redis. Close it when done. */
export interface RunningApi {
  readonly api: Api;
  readonly parts: ApiParts;
  readonly inbox: Inbox;
  readonly deliveries: Deliveries;
  readonly directory: Directory;
  readonly previews: Previews;
  readonly views: QueueViews;
  readonly openings: Openings;
  readonly metrics: PrometheusMetrics;
  readonly vault: Vault;
  readonly redis: Redis;
  readonly redisUrl: string;
  readonly log: string[];
  /** What was audited, in order. */
  readonly audited: Audited[];
  close(): Promise<void>;
}

/** An event, and whether the answer had to wait for it. */
export type Audited = AuditEvent & { readonly kept: boolean };

/** An audit trail in memory. */
export function listen(): Audit & { readonly audited: Audited[] } {
  const audited: Audited[] = [];
  return {
    audited,
    note: (event) => {
      audited.push({ ...event, kept: false });
    },
    keep: async (event) => {
      audited.push({ ...event, kept: true });
    },
  };
}

/** Erasures as the interface promises them, in memory: what the routes make of them is what is tested here. */
export function rememberedErasures(audit: Audit): Pick<Erasures, 'erase' | 'get' | 'exportPerson'> {
  const reports = new Map<string, ErasureReport>();
  return {
    async erase(userId, actor) {
      const id = randomUUID();
      await audit.keep({ actor, action: 'person.erased', ids: [id], users: [userId] });
      const remains = [{ where: 'append-only file', what: 'sealed bytes without a key', until: 'its next rewrite' }];
      reports.set(id, { id, status: 'erasing', requestedAt: Date.now(), completedAt: null, destroyed: { key: true }, remains });
      return { erasureId: id };
    },
    async get(id) {
      const report = reports.get(id);
      if (!report) throw new CarillonError('ERASURE_NOT_FOUND');
      return report;
    },
    async exportPerson(userId, actor) {
      await audit.keep({ actor, action: 'person.exported', users: [userId] });
      return { userId };
    },
  };
}

/** Starts an API; `changes` replace parts. */
export async function startApi(changes: Partial<ApiParts> = {}): Promise<RunningApi> {
  const deferred = createDeferred();
  try {
    const server = await startRedis();
    deferred.defer('server', () => server.stop());
    const redis = await createRedis({ url: server.url }, { prefix: 'notification:', temper: 'prompt' });
    deferred.defer('redis', () => redis.close());
    const vault = await memoryVault();
    const templates = await createTemplates(redis);
    deferred.defer('templates', () => templates.close());
    const trail = listen();
    const deliveries = createDeliveries({ redis, retention: 86_400_000 });
    const inbox = createInbox({ redis, vault, limits: { retention: 86_400_000, maxItems: 500 } });
    deferred.defer('inbox', () => inbox.close());
    const producer = createProducer({ redis, vault, templates, deliveries, partitions: 1, audit: trail });
    deferred.defer('producer', () => producer.close());
    const views = await openQueueViews(redis, 1);
    deferred.defer('queues', () => views.close());
    const tokens = createTokenIssuer({ jwtSecret: JWT_SECRET });
    const directory = createDirectory({ redis, vault });
    const previews = createPreviews({ redis, vault });
    const openings = createOpenings({ redis, vault });
    const metrics = createMetrics();
    metrics.watchQueues(() => views.counts());
    const lines: string[] = [];
    const parts: ApiParts = {
      producer,
      templates,
      deliveries,
      inbox,
      markAsRead: (userId, id) => inbox.markAsRead(userId, id),
      markAllAsRead: (userId) => inbox.markAllAsRead(userId),
      directory,
      failed: views,
      receivers: { pigeon: pigeonPost, talkative: { ...pigeonPost, answer: { type: 'text/xml', body: '<Response/>' } } },
      receive: createReceive({ deliveries, directory, vault, audit: trail }),
      previews,
      publicUrl: PUBLIC_URL,
      verifyToken: createTokenVerifier({ jwtSecret: JWT_SECRET }).verify,
      apiKeys: createApiKeys(`tests:${KEY},other:other-key,sender[send]:send-key,reader[read]:read-key,keeper[admin]:admin-key`),
      rateApi: 1_000,
      audit: trail,
      auditReader: createAuditReader(redis),
      revocations: createRevocations(redis),
      erasures: rememberedErasures(trail),
      issueToken: tokens.issue,
      socketUrl: 'ws://localhost:8082',
      queues: () => views.queues,
      openings,
      vault,
      metrics,
      log: createLog({ level: 'info', name: 'test', write: (line) => lines.push(line) }),
      ready: async () => redis.isReady(),
      ...changes,
    };
    const api = createApi(parts, { port: 0, host: '127.0.0.1' });
    deferred.defer('api', () => api.close());
    const close = async () => {
      const [failure] = await deferred.close();
      if (failure) throw failure.error;
    };
    return {
      api,
      parts,
      inbox,
      deliveries,
      directory,
      previews,
      views,
      openings,
      metrics,
      vault,
      redis,
      redisUrl: server.url,
      log: lines,
      audited: trail.audited,
      close,
    };
  } catch (error) {
    await deferred.close();
    throw error;
  }
}

/** A template with one tag. */
export const APPOINTMENT = {
  id: 'appointment',
  title: 'Appointment',
  body: 'With {{therapistName}}',
  channels: ['in_app'],
};
/** A request that APPOINTMENT can be rendered with. */
export const request = (changes: object = {}) => ({
  userId: 'u1',
  templateId: 'appointment',
  data: { therapistName: 'Dr. Kay' },
  ...changes,
});
