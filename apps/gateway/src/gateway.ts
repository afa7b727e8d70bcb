import type { WebSocket } from 'ws';
import { type AttachableSocket, Attachment } from './attachment.js';
import { Connection } from './connection.js';
import { createHub } from './hub.js';
import type { GatewayContext } from './link.js';
import { createPace } from './outbox.js';
import { type GatewayOptions, type GatewayParts, gatewayDefaults, PAGE_DEFAULT, WHEEL_TICK_MS } from './parts.js';
import { createWheel } from './wheel.js';

/** Streams inboxes to sockets. Close it when done. */
export interface Gateway {
  /** Serves a client that has just connected: asks who it is, within 10 s, and streams its inbox to it. */
  accept(ws: WebSocket): void;
  /**
   * Sends a user's frames to a socket from this very moment on, without asking who is there and without listening to it. Attaching twice
   * changes nothing. A socket that is too slow is detached, and closed if it has `close`.
   */
  attach(userId: string, socket: AttachableSocket): void;
  /** Takes back what `attach` added, for one socket or all of the user; closes none. */
  detach(userId: string, socket?: AttachableSocket): void;
  /** Connections open now, without attached sockets. */
  connections(): number;
  /** Closes accepted sockets with 3001, detaches attached ones and ends all subscriptions. Resolves by `deadlineMs`; what is still open then is cut. */
  close(options: { readonly deadlineMs: number }): Promise<void>;
}

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
  const context: GatewayContext = { parts, options: settings, hub, wheel, pace: createPace() };
  const connections = new Set<Connection>();
  const attached = new Map<string, Map<AttachableSocket, Attachment>>();
  let whenEmpty = () => {};
  let closing: Promise<void> | undefined;

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
    for (const connection of connections) connection.close('SHUTTING_DOWN');
    if (connections.size > 0) await Promise.race([empty, deadline]);
    for (const connection of connections) connection.terminate();
    await Promise.race([hub.close(), deadline]);
    wheel.close();
  }

  return {
    accept: (ws) => {
      // Broken between its handshake and now: it may have told so already, and would never be forgotten.
      if (ws.readyState !== ws.OPEN) {
        ws.on('error', () => {});
        return ws.terminate();
      }
      const connection = new Connection(ws, context, () => {
        connections.delete(connection);
        if (connections.size === 0) whenEmpty();
      });
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
