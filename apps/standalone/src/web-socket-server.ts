import { CarillonError } from '@carillon/contracts';
import { type Gateway, type Listener, listen } from '@carillon/gateway';
import type { NotificationService } from './notification-service.js';

type Connection = Parameters<Gateway['accept']>[0];

/** A `WebSocketServer` of the package `ws`, lent to us. */
export interface LentServer {
  on(event: 'connection', listener: (socket: Connection) => void): unknown;
  off(event: 'connection', listener: (socket: Connection) => void): unknown;
}

/**
 * Serves the WebSocket protocol of a `NotificationService`, on a port of its own or on a server of the package `ws` that is lent to it.
 */
export class WebSocketServer {
  /** Resolves with the port (undefined on a lent server) once clients can connect. @throws what starting the service throws */
  readonly ready: Promise<number | undefined>;
  readonly #stop: () => Promise<void>;

  constructor(where: { port: number; host?: string } | LentServer, service: NotificationService) {
    const gateway = service.gateway();
    if ('on' in where) {
      const accept = (socket: Connection) => admit(gateway, socket);
      where.on('connection', accept);
      this.ready = gateway.then(() => undefined);
      this.#stop = async () => {
        where.off('connection', accept);
      };
    } else {
      if (!Number.isInteger(where.port))
        throw new CarillonError('FIELD_INVALID', { field: 'port', message: 'port: must be a whole number' });
      const listener: Promise<Listener> = gateway.then((open) => listen(open, where));
      this.ready = listener.then(({ port }) => port);
      this.#stop = async () => (await listener).close();
    }
    // Who does not wait for `ready` still learns of a failure from `close`, and every client by not being served.
    this.ready.catch(() => {});
  }

  /** Takes no more connections. Closes a server of its own, leaves a lent one open; open sockets go when the service is closed. */
  async close(): Promise<void> {
    await this.#stop();
  }
}

/** Holds a socket's frames back until the gateway is there to hear them. */
function admit(gateway: Promise<Gateway>, socket: Connection): void {
  // A socket that breaks meanwhile must not end the process.
  socket.on('error', () => {});
  socket.pause();
  gateway
    .then((open) => {
      open.accept(socket);
      socket.resume();
    })
    .catch(() => socket.terminate());
}
