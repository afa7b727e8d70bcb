import { createServer as createHttp1 } from 'node:http';
import { createServer as createHttp2, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { Duplex, Transform } from 'node:stream';
import { createServer, type TLSSocket } from 'node:tls';
import type { Certificate } from './certificate.js';

/** One connection, over HTTP/1.1 or HTTP/2. */
export interface Connection {
  /** Counted from 1. */
  readonly id: number;
  readonly socket: Socket;
}

/** Bytes of the preface of HTTP/2, and of the head of a frame (RFC 9113, 3.4 and 4.1). */
const PREFACE = 24;
const FRAME_HEAD = 9;
/** Type of the frame that opens a request. */
const HEADERS = 1;
/**
 * `:scheme: https:` in HPACK, and the same with a legal scheme. The SDK writes the colon; FCM overlooks it, and Node's HTTP/2 server breaks the
 * stream off. Of the same length, so that the tables of both sides stay in step.
 */
const ODD_SCHEME = Buffer.from('46859d29ad173f', 'hex');
const FINE_SCHEME = Buffer.from('46859d29ad0b7f', 'hex');

/** Serves HTTP/1.1 and HTTP/2 by ALPN on a free port of 127.0.0.1, to firebase-admin too. */
export async function serveFcm(
  { key, cert }: Certificate,
  handle: (request: Http2ServerRequest, response: Http2ServerResponse, connection: Connection) => Promise<unknown>,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const connections = new Map<object, Connection>();
  let opened = 0;
  let latest: Connection | undefined;
  const http2 = createHttp2((request, response) => answer(request, response, request.stream.session));
  http2.on('session', (session) => {
    connections.set(session, latest as Connection);
    // Whoever hangs up on us is not our failure.
    session.on('error', () => {});
  });
  // What is used of requests and responses is the same in both.
  const http1 = createHttp1((request, response) => answer(request as never, response as never, request.socket));
  const answer = (request: Http2ServerRequest, response: Http2ServerResponse, via: object | undefined) =>
    void handle(request, response, connections.get(via as object) as Connection);
  const server = createServer({ key, cert, ALPNProtocols: ['h2', 'http/1.1'] }, (socket: TLSSocket) => {
    opened++;
    latest = { id: opened, socket };
    connections.set(socket, latest);
    socket.on('error', () => {});
    if (socket.alpnProtocol === 'h2') http2.emit('connection', withFineScheme(socket));
    else http1.emit('connection', socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const { socket } of connections.values()) socket.destroy();
      await closed;
    },
  };
}

function withFineScheme(socket: TLSSocket): Duplex {
  let waiting = Buffer.alloc(0);
  let isFirst = true;
  const fix = new Transform({
    transform(part: Buffer, _, done) {
      waiting = Buffer.concat([waiting, part]);
      for (let size = frameSize(waiting, isFirst); size <= waiting.length; size = frameSize(waiting, isFirst)) {
        this.push(fixed(waiting.subarray(0, size), isFirst));
        waiting = waiting.subarray(size);
        isFirst = false;
      }
      done();
    },
  });
  const wire = Duplex.from({ readable: socket.pipe(fix), writable: socket });
  wire.on('error', () => {});
  socket.on('close', () => wire.destroy());
  return wire;
}

/** Bytes of what comes next, at least one more than there are if that cannot be told yet. */
function frameSize(bytes: Buffer, isFirst: boolean): number {
  if (isFirst) return PREFACE;
  return bytes.length < FRAME_HEAD ? FRAME_HEAD : FRAME_HEAD + bytes.readUIntBE(0, 3);
}

function fixed(frame: Buffer, isFirst: boolean): Buffer {
  const at = !isFirst && frame[3] === HEADERS ? frame.indexOf(ODD_SCHEME, FRAME_HEAD) : -1;
  return at < 0 ? frame : Buffer.concat([frame.subarray(0, at), FINE_SCHEME, frame.subarray(at + FINE_SCHEME.length)]);
}
