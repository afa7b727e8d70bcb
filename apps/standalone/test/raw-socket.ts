import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { ReceivedFrame } from '@carillon/testkit';
import { waitFor } from '@carillon/testkit';

/** A WebSocket frame as its sender wants it, right or wrong (RFC 6455 section 5.2). */
export interface RawFrame {
  /** 0 goes on, 1 text, 2 binary, 8 close, 9 ping. */
  readonly opcode: number;
  readonly payload: Buffer | string;
  /** True unless told: the last part of a message. */
  readonly fin?: boolean;
  /** The three reserved bits, 0–7. */
  readonly reserved?: number;
  /** True unless told, as clients have to. */
  readonly masked?: boolean;
  /** The length it claims, if that is not its own. */
  readonly length?: bigint;
}

/** The bytes of a frame. */
export function frameBytes({ opcode, payload, fin = true, reserved = 0, masked = true, length }: RawFrame): Buffer {
  const body = Buffer.from(payload);
  const claimed = length ?? BigInt(body.length);
  const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode];
  const mask = masked ? 0x80 : 0;
  const extended = Buffer.alloc(8);
  extended.writeBigUInt64BE(claimed);
  if (claimed < 126n) head.push(mask | Number(claimed));
  else if (claimed < 65_536n) head.push(mask | 126, ...extended.subarray(6));
  else head.push(mask | 127, ...extended);
  if (!masked) return Buffer.concat([Buffer.from(head), body]);
  const key = randomBytes(4);
  return Buffer.concat([Buffer.from(head), key, body.map((byte, i) => byte ^ (key[i % 4] as number))]);
}

/** A socket that has shaken hands and then writes any bytes. Made by `open`; `cut` it when done. */
export class RawSocket {
  /** What it was sent, and the code it was closed with; 1006 for an end without one. */
  readonly frames: ReceivedFrame[] = [];
  closeCode: number | undefined;
  readonly #socket: Socket;
  #unread = Buffer.alloc(0);

  static async open(url: string): Promise<RawSocket> {
    const raw = new RawSocket(url);
    await waitFor(() => raw.#takeAnswer(), { what: 'the handshake' });
    return raw;
  }

  private constructor(url: string) {
    const { hostname, port, host } = new URL(url);
    this.#socket = connect({ host: hostname, port: Number(port) });
    this.#socket.on('error', () => undefined);
    this.#socket.on('data', (data) => {
      this.#unread = Buffer.concat([this.#unread, data]);
      this.#read();
    });
    this.#socket.on('close', () => {
      this.closeCode ??= 1006;
    });
    const key = randomBytes(16).toString('base64');
    this.#socket.write(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  send(frame: object): void {
    this.write(frameBytes({ opcode: 1, payload: JSON.stringify(frame) }));
  }

  /** The next frame of a type. */
  next(type: string): Promise<ReceivedFrame> {
    return waitFor(() => this.frames.find((frame) => frame.type === type), { what: `a frame ${type}` });
  }

  closed(): Promise<number> {
    return waitFor(() => this.closeCode, { what: 'the close' });
  }

  cut(): void {
    this.#socket.destroy();
  }

  #isOpen = false;

  /** Whether the server's answer is whole; what follows it are frames. */
  #takeAnswer(): boolean {
    if (this.#isOpen) return true;
    const end = this.#unread.indexOf('\r\n\r\n');
    if (end < 0) return false;
    if (!this.#unread.toString('latin1').startsWith('HTTP/1.1 101 ')) throw new Error(this.#unread.toString('latin1'));
    this.#isOpen = true;
    this.#unread = this.#unread.subarray(end + 4);
    this.#read();
    return true;
  }

  #read(): void {
    for (let [opcode, payload] = this.#takeFrame(); payload; [opcode, payload] = this.#takeFrame()) {
      if (opcode === 1) this.frames.push(JSON.parse(payload.toString()) as ReceivedFrame);
      if (opcode === 8) this.closeCode ??= payload.length < 2 ? 1005 : payload.readUInt16BE();
    }
  }

  /** The first frame of what was not read, if it is whole; servers mask nothing, and ours sends nothing in parts. */
  #takeFrame(): [opcode: number, payload?: Buffer] {
    const bytes = this.#unread;
    if (!this.#isOpen || bytes.length < 2) return [0];
    const [first, short] = [bytes[0] as number, bytes[1] as number];
    const start = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (bytes.length < start) return [0];
    const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
    if (bytes.length < start + length) return [0];
    this.#unread = bytes.subarray(start + length);
    return [first & 15, bytes.subarray(start, start + length)];
  }
}
