import type { Revocations, VerifiedToken } from '@carillon/access';
import type { Audit } from '@carillon/audit';
import type { Inbox } from '@carillon/inbox';
import type { Quota, Tls } from '@carillon/service';
import type { AdmissionOptions } from './admission.js';
import type { Seats } from './seats.js';

/** Where the gateway writes what an operator should know. Never tokens, never content of notifications. */
export interface GatewayLog {
  info(message: string, fields?: { readonly [name: string]: unknown }): void;
  warn(message: string, fields?: { readonly [name: string]: unknown }): void;
  error(message: string, fields?: { readonly [name: string]: unknown }): void;
}

/** What the gateway counts. */
export interface GatewayMetrics {
  connectionOpened(): void;
  /** With the close code we or the client chose; 1006 for a connection that broke. */
  connectionClosed(code: number): void;
  /** With the frame's type if it is one of the protocol, else `unknown`. */
  frameReceived(type: string): void;
  framesSent(count: number): void;
  /** With the code of an error frame or of what went wrong underneath, e.g. `ECONNRESET` or `WS_ERR_INVALID_UTF8`. */
  connectionError(code: string): void;
  /** A handshake was refused: `origin`, `waiting` and `network` (too many of one network), or `handshakes` (too many of all). */
  handshakeRefused(reason: string): void;
  /** `where` is always `socket`. */
  authenticationFailed(where: string, code: string): void;
}

/** What a gateway needs of the rest of Carillon. It closes none of it. */
export interface GatewayParts {
  readonly inbox: Inbox;
  /** Asked for every message of a client, so it should remember. @throws TOKEN_EXPIRED, TOKEN_INVALID */
  readonly verify: (token: string) => Promise<VerifiedToken>;
  /** Asked once for every socket, and with every check of a user's position. Announcements come by the inbox's `follow`. */
  readonly revocations: Pick<Revocations, 'since'>;
  /** Told who comes, who reads and changes an inbox, and who is refused. */
  readonly audit: Pick<Audit, 'note'>;
  /** @throws NOTIFICATION_NOT_FOUND, REDIS_UNAVAILABLE */
  readonly markAsRead: (userId: string, notificationId: string) => Promise<void>;
  /** @throws REDIS_UNAVAILABLE */
  readonly markAllAsRead: (userId: string) => Promise<void>;
  /** Places of users for their sockets. */
  readonly seats: Pick<Seats, 'take' | 'giveBack'>;
  readonly log: GatewayLog;
  readonly metrics: GatewayMetrics;
}

/** The limits of a gateway; times in ms, sizes in bytes. */
export interface GatewayOptions extends AdmissionOptions {
  /** Certificate and key of our own sockets. */
  readonly tls?: Tls | undefined;
  /** Time for the first frame. */
  readonly authenticateWithinMs: number;
  /** Time for the store to confirm a subscription; a client that waits longer is turned away and may come back. */
  readonly subscribeWithinMs: number;
  /** Time between pings; the first comes after a random part of it, so that connections do not beat in step. */
  readonly pingEveryMs: number;
  /** Time for the pong. */
  readonly pongWithinMs: number;
  /** Time before a token expires at which its client is told. */
  readonly tellExpiryBeforeMs: number;
  /** Messages one socket may send. */
  readonly rateMessages: Quota;
  /** Bytes waiting for one socket above which it gets no more changes, until it has taken enough of them and is told what it missed. */
  readonly crowdedBytes: number;
  /** Bytes that may wait for one socket, beside the largest frame among them. */
  readonly maxBufferedBytes: number;
  /** Time a byte may wait for its socket. */
  readonly maxUndrainedMs: number;
  /** Frames of one client that may wait for their answers. */
  readonly maxWaitingFrames: number;
  /** Time between checks of each followed user's position against the log, on average. */
  readonly checkPositionEveryMs: number;
  /** Time for each open socket over which closes are spread at shutdown, so that clients do not all come to the next gateway at once. */
  readonly drainPerConnectionMs: number;
  /** Time over which they are spread at most. */
  readonly drainWithinMs: number;
  /** Time for a client to answer our close, after which the connection is cut. */
  readonly closeWithinMs: number;
}

/** All defaults. The times of the contract are kept to within the wheel's tick. */
export const gatewayDefaults: GatewayOptions = {
  connectionsPerAddress: 2_000,
  rateConnections: { count: 6_000, window: 60_000 },
  rateHandshakes: { count: 1_000, window: 1_000 },
  authenticateWithinMs: 10_000,
  subscribeWithinMs: 5_000,
  // Below the 30 s after which the shortest-tempered proxies drop a silent connection; a dead peer is gone within 35 s.
  pingEveryMs: 25_000,
  pongWithinMs: 8_000,
  tellExpiryBeforeMs: 60_000,
  rateMessages: { count: 6000, window: 60_000 },
  crowdedBytes: 256 * 1024,
  maxBufferedBytes: 1024 * 1024,
  maxUndrainedMs: 10_000,
  maxWaitingFrames: 100,
  checkPositionEveryMs: 30_000,
  // 1,000 a second is what the next gateway admits by default.
  drainPerConnectionMs: 1,
  drainWithinMs: 10_000,
  closeWithinMs: 5_000,
};

/** Milliseconds between turns of the wheel: how late a deadline may be met, e.g. the close of a silent socket whose token expired. */
export const WHEEL_TICK_MS = 200;
/** Notifications in a page for which no limit was asked, and in a snapshot. */
export const PAGE_DEFAULT = 50;
/** Milliseconds a client turned away for our fault should wait, as a hint in the close reason. */
export const RETRY_AFTER_MS = 1000;
