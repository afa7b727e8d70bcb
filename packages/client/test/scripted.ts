import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';

/** RFC 6455 §1.3 */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** One connection to a scripted server. */
export interface Scripted {
  /** Frames of the client so far. */
  readonly frames: { type: string; requestId?: string; [field: string]: unknown }[];
  send(frame: object): void;
  close(code: number, reason?: string): void;
}

/** The payload of a small frame of a client (RFC 6455 §5.2), and how long the frame is; undefined if it is not whole. */
function readFrame(bytes: Buffer) {
  const short = (bytes[1] as number) & 127;
  const head = short === 126 ? 4 : 2;
  const length = short === 126 && bytes.length >= 4 ? bytes.readUInt16BE(2) : short;
  const end = head + 4 + length;
  if (bytes.length < end) return undefined;
  const mask = bytes.subarray(head, head + 4);
  return {
    opcode: (bytes[0] as number) & 15,
    text: Buffer.from(bytes.subarray(head + 4, end).map((byte, i) => byte ^ (mask[i % 4] as number))),
    end,
  };
}

function writeFrame(opcode: number, payload: Buffer): Buffer {
  const long = Buffer.from([128 | opcode, 126, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([payload.length > 125 ? long : Buffer.from([128 | opcode, payload.length]), payload]);
}

/** A server that does what no real gateway does on purpose: `on` hears each frame of each connection, the first counted as 0. */
export async function startScripted(on: (frame: Scripted['frames'][number], connection: Scripted, index: number) => void) {
  const times: number[] = [];
  const sockets = new Set<Duplex>();
  const server = createServer();
  server.on('upgrade', (request, socket) => {
    const index = times.push(Date.now()) - 1;
    sockets.add(socket);
    socket.on('error', () => {});
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${GUID}`).digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    const connection: Scripted = {
      frames: [],
      send: (frame) => void socket.write(writeFrame(1, Buffer.from(JSON.stringify(frame)))),
      close: (code, reason = '') => {
        socket.write(writeFrame(8, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)])));
        socket.end();
      },
    };
    let bytes = Buffer.alloc(0);
    socket.on('data', (data) => {
      bytes = Buffer.concat([bytes, data]);
      for (let read = bytes.length > 1 && readFrame(bytes); read; read = bytes.length > 1 && readFrame(bytes)) {
        bytes = bytes.subarray(read.end);
        if (read.opcode !== 1) continue;
        const frame = JSON.parse(read.text.toString()) as Scripted['frames'][number];
        connection.frames.push(frame);
        on(frame, connection, index);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `ws://127.0.0.1:${(server.address() as { port: number }).port}`,
    /** When each connection was opened. */
    times,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
