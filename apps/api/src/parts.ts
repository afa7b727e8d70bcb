import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { ApiKeys, Revocations, TokenVerifier } from '@carillon/access';
import type { Audit, AuditReader } from '@carillon/audit';
import type { Previews, Receive, Receiver } from '@carillon/channel';
import type { Deliveries } from '@carillon/deliveries';
import type { Directory } from '@carillon/directory';
import type { Erasures } from '@carillon/erasure';
import type { Inbox } from '@carillon/inbox';
import type { Producer } from '@carillon/producer';
import type { FailedItems } from '@carillon/queue';
import type { Log, PrometheusMetrics } from '@carillon/service';
import type { Templates } from '@carillon/templates';
import type { Vault } from '@carillon/vault';
import type { Openings } from './opening.js';

/** A BullMQ queue, as Bull Board takes it. */
export type BoardQueue = ConstructorParameters<typeof BullMQAdapter>[0];

/** What the HTTP interface works with. It closes none of it. */
export interface ApiParts {
  readonly producer: Pick<Producer, 'as'>;
  readonly templates: Pick<
    Templates,
    'register' | 'get' | 'list' | 'remove' | 'preview' | 'registerPartial' | 'partial' | 'listPartials' | 'removePartial'
  >;
  readonly deliveries: Pick<Deliveries, 'get' | 'page'>;
  readonly inbox: Pick<Inbox, 'page' | 'head' | 'mark' | 'remove'>;
  readonly directory: Pick<
    Directory,
    | 'profile'
    | 'setProfile'
    | 'patchProfile'
    | 'preferences'
    | 'setPreferences'
    | 'devices'
    | 'addDevice'
    | 'removeDevice'
    | 'suppression'
    | 'liftSuppression'
    | 'readUnsubscribeToken'
    | 'unsubscribe'
  >;
  /** What was given up. */
  readonly failed: FailedItems;
  /** Who reads the reports of each provider, by its name. */
  readonly receivers: Readonly<Record<string, Receiver>>;
  /** Applies what a provider reports. Once it resolves nothing of it is lost; else the provider has to repeat it. */
  readonly receive: Receive;
  /** Messages kept for preview, newest first. */
  readonly previews: Pick<Previews, 'list' | 'get'>;
  /** Where this interface is reached from outside, without a slash at the end. */
  readonly publicUrl: string | (() => string);
  /** Origins of the pages that may call what a client token opens, besides that of `publicUrl`; without them no other page may. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** Reads a client token. @throws TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_KEYS_UNAVAILABLE */
  readonly verifyToken: TokenVerifier['verify'];
  /** @throws NOTIFICATION_NOT_FOUND */
  readonly markAsRead: (userId: string, notificationId: string) => Promise<void>;
  readonly markAllAsRead: (userId: string) => Promise<void>;
  readonly apiKeys: Pick<ApiKeys, 'find' | 'recall'>;
  /** Requests per ms that one API key, or one user by client token, may make in this process. */
  readonly rateApi: number;
  /** Told of every request. What shows something personal is shown only once its record is kept. */
  readonly audit: Audit;
  readonly auditReader: AuditReader;
  readonly revocations: Pick<Revocations, 'revoke' | 'since'>;
  /** Erases and exports people, and audits both. */
  readonly erasures: Pick<Erasures, 'erase' | 'get' | 'exportPerson'>;
  /** Signs a client token; absent without a secret. `expiresAt` is ms since the epoch. @throws FIELD_INVALID */
  readonly issueToken?: ((userId: string, ttlSeconds?: number) => Promise<{ token: string; expiresAt: number }>) | undefined;
  /** Where clients connect with a token. */
  readonly socketUrl: string | (() => string);
  /** The queues Bull Board shows. Asked once, when the interface is created. */
  readonly queues: () => readonly BoardQueue[];
  /** One-time links that sign somebody in. */
  readonly openings: Pick<Openings, 'take' | 'end' | 'hasEnded'>;
  /** The folder of the built page: `index.html`, and what it loads in `assets`. Without it `/` is a list of links. */
  readonly page?: string | undefined;
  /** Seals the sessions of who is signed in. */
  readonly vault: Pick<Vault, 'seal' | 'open'>;
  readonly metrics: Pick<PrometheusMetrics, 'render' | 'contentType' | 'authenticationFailed'>;
  readonly log: Log;
  /** Whether requests can be served now. */
  readonly ready: () => Promise<boolean>;
}
