import { setTimeout as sleep } from 'node:timers/promises';
import type { Tls } from '@carillon/service';
import type { WebSocket } from 'ws';
import { type Admit, createAdmission, type Entry, uncounted } from './admission.js';
import { type AttachableSocket, Attachment } from './attachment.js';
import { Connection } from './connection.js';
import { createHub } from './hub.js';
import type { GatewayContext } from './link.js';
import { createPace } from './outbox.js';
import { type GatewayOptions, type GatewayParts, gatewayDefaults, PAGE_DEFAULT, WHEEL_TICK_MS } from './parts.js';
import { createWheel } from './wheel.js';

/** Streams inboxes to sockets. Close it when done. */
export interface Gateway {
  /** The certificate by which it is served as `wss`; without one it is `ws`, for a proxy in front. */
  readonly tls: Tls | undefined;
  /** Whether a handshake may become a connection, by the limits of this gateway. */
  readonly admit: Admit;
  /** Serves a client that has just connected: asks who it is, within 10 s, and streams its inbox to it. `entry` is given back once it has proved that, or is gone. */
  accept(ws: WebSocket, entry?: Entry): void;
  /**
   * Sends a user's frames to a socket from this very moment on, without asking who is there and without listening to it. Attaching twice
   * changes nothing. A socket that is too slow is detached, and closed if it has `close`.
   */
  attach(userId: string, socket: AttachableSocket): void;
  /** Takes back what `attach` added, for one socket or all of the user; closes none. */
  detach(userId: string, socket?: AttachableSocket): void;
  /** Connections open now, without attached sockets. */
  connections(): number;
  /**
   * Closes accepted sockets with 3001, many of them spread over some seconds and told when to come back; detaches attached ones and ends all
   * subscriptions. Resolves by `deadlineMs`; what is still open then is cut.
   */
  close(options: { readonly deadlineMs: number }): Promise<void>;
}

/** Milliseconds over which closes are worth being spread; below, all go at once. */
const DRAIN_WORTH_MS = 100;
/** Milliseconds between two groups of closes. */
const DRAIN_STEP_MS = 20;

/** Announcements of one user kept while its log is read: more come only in a flood, and are read from the log then. */
const MAX_WAITING_ANNOUNCEMENTS = 256;

/** Makes a gateway on an inbox. It closes nothing of its parts. */
export function createGateway(parts: GatewayParts, options: Partial<GatewayOptions> = {}): Gateway {
  const settings = { ...gatewayDefaults, ...options };
  const wheel = createWheel(WHEEL_TICK_MS);
  const limits = {
    checkEveryMs: settings.checkPositionEveryMs,
    maxWaiting: MAX_WAITING_ANNOUNCEMENTS,
    snapshotSize: PAGE_DEFAULT,
    followWithinMs: settings.subscribeWithinMs,
  };
  const hub = createHub({ ...parts, wheel }, limits, (error) => parts.log.warn('a log could not be read; it is tried again', { error }));
  const outboxLimits = { maxBytes: settings.maxBufferedBytes, maxWaitMs: settings.maxUndrainedMs };
  const context: GatewayContext = { parts, options: settings, outboxLimits, hub, wheel, pace: createPace() };
  const connections = new Set<Connection>();
  const attached = new Map<string, Map<AttachableSocket, Attachment>>();
  let whenEmpty = () => {};
  let closing: Promise<void> | undefined;

  function forget(connection: Connection): void {
    connections.delete(connection);
    if (connections.size === 0) whenEmpty();
  }

  function detach(userId: string, socket?: AttachableSocket): void {
    const sockets = attached.get(userId);
    if (socket) sockets?.get(socket)?.detach();
    else for (const attachment of sockets?.values() ?? []) attachment.detach();
  }

  async function shutDown(deadlineMs: number): Promise<void> {
    const deadline = new Promise<void>((resolve) => setTimeout(resolve, deadlineMs).unref());
    for (const userId of attached.keys()) detach(userId);
    const empty = new Promise<void>((resolve) => {
      whenEmpty = resolve;
    });
    await Promise.race([drain([...connections], settings, deadlineMs), empty, deadline]);
    if (connections.size > 0) await Promise.race([empty, deadline]);
    for (const connection of connections) connection.terminate();
    await Promise.race([hub.close(), deadline]);
    wheel.close();
  }

  return {
    tls: settings.tls,
    admit: createAdmission(settings, parts.metrics),
    accept: (ws, entry = uncounted) => {
      // Broken between its handshake and now: it may have told so already, and would never be forgotten.
      if (ws.readyState !== ws.OPEN) {
        entry.leave();
        ws.on('error', () => {});
        return ws.terminate();
      }
      const connection = new Connection(ws, entry, context, forget);
      connections.add(connection);
      if (closing) connection.close('SHUTTING_DOWN');
    },
    attach: (userId, socket) => {
      const sockets = attached.get(userId) ?? new Map<AttachableSocket, Attachment>();
      if (closing || sockets.has(socket)) return;
      attached.set(userId, sockets);
      const forget = () => {
        sockets.delete(socket);
        if (sockets.size === 0 && attached.get(userId) === sockets) attached.delete(userId);
      };
      sockets.set(socket, new Attachment(userId, socket, context, forget));
    },
    detach,
    connections: () => connections.size,
    close: ({ deadlineMs }) => {
      closing ??= shutDown(deadlineMs);
      return closing;
    },
  };
}

/** Closes connections a few at a time. Each is told to come back at a random moment of the time this takes in all. */
async function drain(connections: readonly Connection[], options: GatewayOptions, deadlineMs: number): Promise<void> {
  const window = Math.min(connections.length * options.drainPerConnectionMs, options.drainWithinMs, deadlineMs / 2);
  if (window < DRAIN_WORTH_MS) {
    for (const connection of connections) connection.close('SHUTTING_DOWN');
    return;
  }
  const atOnce = Math.ceil((connections.length * DRAIN_STEP_MS) / window);
  for (let at = 0; at < connections.length; at += atOnce) {
    for (const connection of connections.slice(at, at + atOnce)) connection.close('SHUTTING_DOWN', Math.ceil(Math.random() * window));
    await sleep(DRAIN_STEP_MS);
  }
}
