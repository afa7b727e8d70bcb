import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/*
 * The client's half of the WebSocket protocol (RFC 6455) for thousands of sockets in one process. It is all a load generator needs and
 * little else, so that what is measured is the server: one buffer for all sockets, no object per message, masks of zeros.
 */

/** Frames as section 5.2 numbers them. */
export const opcodes = { text: 1, close: 8, ping: 9, pong: 10 } as const;

const FIN = 0x80;
const MASKED = 0x80;
/** Lengths from here on do not stand in the second byte; 127 says that 64 bits follow. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;
/** Bytes a client's frame has before its text: two, of which the second is the length, and the mask. */
const CLIENT_HEADER_BYTES = 6;
const HEADER_16_BYTES = 4;
const HEADER_64_BYTES = 10;
/** Bytes read from any socket at once. */
const READ_BYTES = 64 * 1024;
const END_OF_HEAD = '\r\n\r\n';

/** Hears a frame: its payload lies in `bytes` from `start` to `end`, and only until the call returns. */
export type FrameListener = (opcode: number, bytes: Buffer, start: number, end: number) => void;

/** Tells each whole frame of a server and answers how many bytes these were. Frames are taken as they are: unmasked and unbroken. */
export function readFrames(bytes: Buffer, listener: FrameListener): number {
  let at = 0;
  while (bytes.length - at >= 2) {
    let length = (bytes[at + 1] as number) & ~MASKED;
    let start = at + 2;
    if (length === LENGTH_16) {
      if (bytes.length - at < HEADER_16_BYTES) break;
      length = bytes.readUInt16BE(start);
      start = at + HEADER_16_BYTES;
    } else if (length === LENGTH_64) {
      if (bytes.length - at < HEADER_64_BYTES) break;
      length = Number(bytes.readBigUInt64BE(start));
      start = at + HEADER_64_BYTES;
    }
    const end = start + length;
    if (end > bytes.length) break;
    listener((bytes[at] as number) & 0x0f, bytes, start, end);
    at = end;
  }
  return at;
}

/** A client's frame. */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  if (payload.length >= 0x10000) throw new RangeError('a client of the bench sends less than 64 KiB');
  const isLong = payload.length >= LENGTH_16;
  const frame = Buffer.alloc(CLIENT_HEADER_BYTES + (isLong ? 2 : 0) + payload.length);
  frame[0] = FIN | opcode;
  frame[1] = MASKED | (isLong ? LENGTH_16 : payload.length);
  if (isLong) frame.writeUInt16BE(payload.length, 2);
  // The mask stays zero: it protects proxies from scripts of browsers (section 10.3), and here are neither.
  payload.copy(frame, frame.length - payload.length);
  return frame;
}

/** What a server answered to a handshake. */
export interface Answered {
  readonly status: number;
  /** Milliseconds to stay away, by `Retry-After` in seconds; 0 unless told. */
  readonly retryAfter: number;
}

/** Reads the head of an answer. */
export function readHead(head: string): Answered {
  const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(head) ?? [];
  const [, seconds = '0'] = /^retry-after: *(\d+)\r?$/im.exec(head) ?? [];
  return { status: Number(status), retryAfter: Number(seconds) * 1000 };
}

export interface WireOptions {
  readonly port: number;
  readonly path: string;
  /** Of this machine, 127.0.0.x: one address has ports for 28,000 sockets only. */
  readonly from: string;
  /** Hears every frame but pings. */
  readonly frame: FrameListener;
  /** The server took the handshake. */
  readonly opened: () => void;
  /** The connection is gone, told once; `refused` if there was an answer other than 101. */
  readonly closed: (refused: Answered | undefined) => void;
}

/** All sockets read into it, one after the other. */
const shared = Buffer.allocUnsafe(READ_BYTES);

/** One client socket. Pings are answered. */
export class Wire {
  readonly #options: WireOptions;
  readonly #socket: Socket;
  #isOpen = false;
  #rest: Buffer | undefined;
  #refused: Answered | undefined;

  constructor(options: WireOptions) {
    this.#options = options;
    const onread = { buffer: shared, callback: (count: number) => this.#read(shared.subarray(0, count)) };
    const { port, from: localAddress } = options;
    this.#socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true, onread });
    this.#socket.on('error', () => {});
    this.#socket.once('connect', () => this.#socket.write(request(options)));
    this.#socket.once('close', () => options.closed(this.#refused));
  }

  send(text: string): void {
    this.#socket.write(clientFrame(opcodes.text, Buffer.from(text)));
  }

  /** Cuts the connection. */
  cut(): void {
    this.#socket.destroy();
  }

  #read(fresh: Buffer): boolean {
    const bytes = this.#rest ? Buffer.concat([this.#rest, fresh]) : fresh;
    const from = this.#isOpen ? 0 : this.#readHead(bytes);
    const frames = from === 0 ? bytes : bytes.subarray(from);
    const taken = this.#isOpen ? readFrames(frames, (opcode, all, start, end) => this.#take(opcode, all, start, end)) : 0;
    // A copy: the next read overwrites what is shared.
    this.#rest = taken < frames.length ? Buffer.from(frames.subarray(taken)) : undefined;
    return true;
  }

  /** Bytes of the head, once it is whole. */
  #readHead(bytes: Buffer): number {
    const end = bytes.indexOf(END_OF_HEAD);
    if (end < 0) return 0;
    const answered = readHead(bytes.toString('latin1', 0, end + 2));
    if (answered.status === 101) {
      this.#isOpen = true;
      this.#options.opened();
    } else {
      this.#refused = answered;
      this.#socket.destroy();
    }
    return end + END_OF_HEAD.length;
  }

  #take(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === opcodes.ping) this.#socket.write(clientFrame(opcodes.pong, bytes.subarray(start, end)));
    else this.#options.frame(opcode, bytes, start, end);
    if (opcode === opcodes.close) this.#socket.destroy();
  }
}

function request({ port, path }: WireOptions): string {
  const key = randomBytes(16).toString('base64');
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${key}`];
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${lines.join('\r\n')}${END_OF_HEAD}`;
}
