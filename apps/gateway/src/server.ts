import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { CarillonError, closeCodes, FRAME_MAX_BYTES } from '@carillon/contracts';
import { WebSocket, WebSocketServer } from 'ws';
import { encode, errorFrame } from './frames.js';
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
/** Seconds a client should stay away that came while we close. */
const RETRY_AFTER_SECONDS = 1;

/** A socket that gives all unreadable input the contract's one code, where ws has four of its own. */
class GatewaySocket extends WebSocket {
  override close(code?: number, data?: string | Buffer): void {
    // ws gives a reason whenever it answers the client's own close, and none when it refuses a frame.
    if (code === undefined || data !== undefined || !unreadable.has(code)) {
      super.close(code, data);
      return;
    }
    const error = new CarillonError(code === TOO_BIG ? 'PAYLOAD_TOO_LARGE' : 'BAD_MESSAGE');
    if (this.readyState === WebSocket.OPEN) this.send(encode(errorFrame(error)), { binary: false });
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
 * Listens for WebSockets on every path; any other request is answered 426.
 *
 * @throws CONFIGURATION_INVALID when the port cannot be had.
 */
export async function listen(gateway: Gateway, options: ListenOptions): Promise<Listener> {
  const sockets = new WebSocketServer(socketOptions);
  const server = createServer({ requestTimeout: REQUEST_WITHIN_MS, headersTimeout: REQUEST_WITHIN_MS }, answerPlain);
  let isClosing = false;

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (isClosing) return refuse(socket, 503, `Retry-After: ${RETRY_AFTER_SECONDS}\r\n`);
    // The rest of the ladder of refusals is ws's: method, upgrade header, key, version, protocols.
    sockets.handleUpgrade(request, socket, head, (ws) => gateway.accept(ws));
  });
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

function refuse(socket: Duplex, status: number, headers: string): void {
  socket.on('error', () => socket.destroy());
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers}Connection: close\r\nContent-Length: 0\r\n\r\n`);
}
