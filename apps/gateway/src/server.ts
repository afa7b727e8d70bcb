import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { CarillonError, closeCodes, FRAME_MAX_BYTES } from '@carillon/contracts';
import type { Tls } from '@carillon/service';
import { WebSocket, WebSocketServer } from 'ws';
import type { Entry, Refusal } from './admission.js';
import { encode, errorFrame, payloadOf } from './frames.js';
import type { Gateway } from './gateway.js';

/** Where a gateway listens. */
export interface Listener {
  /** The port, also when 0 was asked for. */
  readonly port: number;
  /** Takes no more connections. Those that are open belong to the gateway, whose `close` comes next. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** 0 for any free one. */
  readonly port: number;
  /** All addresses unless told. */
  readonly host?: string | undefined;
}

/** Codes by which ws refuses what it cannot read (RFC 6455 section 7.4.1): protocol error, not UTF-8, policy (too many parts), too big. */
const unreadable = new Set([1002, 1007, 1008, 1009]);
/** The one of them for a message over `maxPayload`. */
const TOO_BIG = 1009;
/** Milliseconds a client has to send its request; without it half-sent requests would hold sockets for minutes. */
const REQUEST_WITHIN_MS = 10_000;
/** Milliseconds between looks for such clients; Node looks every 30 s unless told. */
const REQUEST_CHECK_MS = 2000;
/** What a client is told that came while we close. */
const CLOSING: Refusal = { status: 503, retryAfter: 1000 };

/** A socket that gives all unreadable input the contract's one code, where ws has four of its own. */
class GatewaySocket extends WebSocket {
  override close(code?: number, data?: string | Buffer): void {
    // ws gives a reason whenever it answers the client's own close, and none when it refuses a frame.
    if (code === undefined || data !== undefined || !unreadable.has(code)) {
      super.close(code, data);
      return;
    }
    const error = new CarillonError(code === TOO_BIG ? 'PAYLOAD_TOO_LARGE' : 'BAD_MESSAGE');
    if (this.readyState === WebSocket.OPEN) this.send(payloadOf(encode(errorFrame(error))), { binary: false });
    super.close(...closeCodes.BAD_PROTOCOL);
  }
}

/** Every limit of the WebSocket protocol's lower half. */
const socketOptions = {
  noServer: true,
  WebSocket: GatewaySocket,
  maxPayload: FRAME_MAX_BYTES,
  // A frame of 16 KiB needs few parts; ws's defaults let a peer hold hundreds of megabytes in tiny ones.
  maxFragments: 16,
  maxBufferedChunks: 1024,
  // Compression fragments memory and lets guesses at secrets be measured.
  perMessageDeflate: false,
  // The gateway keeps its own list.
  clientTracking: false,
  // Milliseconds for the peer to answer a close. (Not in @types/ws 8.18.)
  closeTimeout: 5000,
};

/**
 * Listens for WebSockets on every path, with TLS if the gateway has a certificate; any other request is answered 426.
 *
 * @throws CONFIGURATION_INVALID when the port cannot be had.
 */
export async function listen(gateway: Gateway, options: ListenOptions): Promise<Listener> {
  const sockets = new WebSocketServer(socketOptions);
  const server = createHttpServer(gateway.tls);
  let isClosing = false;

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (isClosing) return refuse(socket, CLOSING);
    void admit(request, socket).then((entry) => {
      if (!entry) return;
      if (socket.destroyed) return entry.leave();
      let isAccepted = false;
      sockets.handleUpgrade(request, socket, head, (ws) => {
        isAccepted = true;
        gateway.accept(ws, entry);
      });
      // ws has answered what it refuses by now (method, upgrade header, key, version, protocols), and nobody else gives the place back.
      if (!isAccepted) entry.leave();
    });
  });
  /** The place of a client that may come in; who may not has been answered. */
  const admit = async (request: IncomingMessage, socket: Duplex): Promise<Entry | undefined> => {
    // Broken while it is being asked about: without a listener that would end the process.
    const ignore = () => socket.destroy();
    socket.on('error', ignore);
    const answer = await gateway.admit(request);
    socket.off('error', ignore);
    if (!('status' in answer)) return answer;
    refuse(socket, answer);
    return undefined;
  };
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const message = `NOTIFICATION_WS_PORT: port ${options.port} cannot be listened on (${error.code})`;
      reject(new CarillonError('CONFIGURATION_INVALID', { field: 'NOTIFICATION_WS_PORT', message, cause: error }));
    });
    server.listen(options.port, options.host, resolve);
  });

  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      isClosing = true;
      // Not awaited: it ends with the last WebSocket, and those are the gateway's.
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Plain HTTP has nothing to get here (RFC 9110 section 15.5.22). */
function answerPlain(_request: IncomingMessage, response: ServerResponse): void {
  response
    .writeHead(426, { Upgrade: 'websocket', Connection: 'Upgrade, close', 'Content-Type': 'text/plain' })
    .end('This port speaks WebSocket.\n');
}

/** A server that cuts slow handshakes short, of TLS as well, and takes a new certificate while it runs. */
function createHttpServer(tls: Tls | undefined): Server {
  const limits = {
    requestTimeout: REQUEST_WITHIN_MS,
    headersTimeout: REQUEST_WITHIN_MS,
    connectionsCheckingInterval: REQUEST_CHECK_MS,
  };
  if (!tls) return createServer(limits, answerPlain);
  const server = createTlsServer({ ...limits, ...tls.credentials, handshakeTimeout: REQUEST_WITHIN_MS }, answerPlain);
  tls.onChange((credentials) => server.setSecureContext(credentials));
  return server;
}

function refuse(socket: Duplex, { status, retryAfter }: Refusal): void {
  // RFC 9110 section 10.2.3: whole seconds.
  const headers = retryAfter === undefined ? '' : `Retry-After: ${Math.max(1, Math.ceil(retryAfter / 1000))}\r\n`;
  socket.on('error', () => socket.destroy());
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers}Connection: close\r\nContent-Length: 0\r\n\r\n`);
}
