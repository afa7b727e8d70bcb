import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';

/** How long a connection may take to be made, ms: well above a slow handshake, well below the time a call may take. */
const CONNECT_TIMEOUT_MS = 5_000;

/** What is known of the connections of some agents. */
export interface WatchedConnections {
  /**
   * Whether any of a request may have left: false only where it had no connection, or one that never came about. Takes Node's `ClientRequest`;
   * of anything else nothing is known, and it may have.
   */
  mayHaveLeft(request: unknown): boolean;
  /** Breaks all connections. */
  close(): void;
}

/**
 * Tells failures to connect, after which surely nothing was sent, from all later ones: by the socket they happened on rather than by their codes,
 * which are the same. Gives up a connection that is not made in time. Of an agent that is not Node's own (a proxy's) every connection counts as made.
 */
export function watchConnections(agents: readonly unknown[], timeout = CONNECT_TIMEOUT_MS): WatchedConnections {
  const opening = new WeakSet<object>();
  const watched = agents.filter((agent) => agent instanceof HttpAgent);
  for (const agent of watched) watch(agent, opening, timeout);
  return {
    mayHaveLeft(request) {
      if (typeof request !== 'object' || request === null || !('socket' in request)) return true;
      const { socket } = request;
      return typeof socket === 'object' && socket !== null && !opening.has(socket);
    },
    close() {
      for (const agent of watched) agent.destroy();
    },
  };
}

function watch(agent: HttpAgent, opening: WeakSet<object>, timeout: number): void {
  const create = agent.createConnection.bind(agent);
  agent.createConnection = (...given) => {
    const socket = create(...given) as Socket | undefined;
    // One that is there already, such as a proxy's, counts as made.
    if (!socket?.connecting) return socket;
    opening.add(socket);
    const late = () => socket.destroy(Object.assign(new Error('The connection was not made in time.'), { code: 'ETIMEDOUT' }));
    const timer = setTimeout(late, timeout);
    socket.once('close', () => clearTimeout(timer));
    // Over TLS nothing of a request leaves before the handshake is done.
    socket.once(agent instanceof HttpsAgent ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer);
      opening.delete(socket);
    });
    return socket;
  };
}
