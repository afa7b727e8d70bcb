// All clients of a side in one process, on raw sockets: counts what arrives, and tells the publisher so that it sends no more than that.
import { connect as dial, type Socket } from 'node:net';
import { argument, now, serveRole } from '../role.js';
import { sentAt } from '../sockets/message.js';
import { CREDIT_BYTES } from '../sockets/publishing.js';
import { frames, socketIo } from '../sockets/speech.js';
import { opcodes, Wire } from '../sockets/wire.js';

/** What was received up to a moment (µs). */
export interface Received {
  readonly at: number;
  readonly messages: number;
  /** Of frames, without their heads, of every type. */
  readonly bytes: number;
}

/** Sockets that connect at the same time: more could overrun a listener's backlog. */
const CONNECTING = 50;
/** Addresses that sockets come from in turn. */
const ADDRESSES = 4;
/** Deliveries told to the publisher at once: a twenty-fifth of what may be on its way. */
const CREDIT = 200;

const speech = argument('speech') === 'socket.io' ? socketIo : frames;
const port = Number(argument('socketPort'));
const wires = new Set<Wire>();
let messages = 0;
let bytesReceived = 0;
let told = 0;
let credits: Socket | undefined;
/** Milliseconds of each message's way, while they are wanted. */
let latencies: number[] | undefined;
let waiting: { readonly count: number; readonly resolve: () => void } | undefined;

function receive(bytes: Buffer, start: number, end: number): void {
  messages++;
  if (latencies) latencies.push((now() - sentAt(bytes, start, end)) / 1e3);
  if (credits && messages - told >= CREDIT) {
    const count = Buffer.alloc(CREDIT_BYTES);
    count.writeUInt32LE(messages - told);
    credits.write(count);
    told = messages;
  }
  if (waiting && messages >= waiting.count) waiting.resolve();
}

/** Resolves when the server knows the user. */
function connect(token: string, index: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const hear = (opcode: number, bytes: Buffer, start: number, end: number) => {
      bytesReceived += end - start;
      if (speech.isMessage(bytes, start, end)) return receive(bytes, start, end);
      const text = bytes.toString('utf8', start, end);
      if (opcode !== opcodes.text) return reject(new Error(`a socket got frame ${opcode}: ${text}`));
      const { is, answer } = speech.hear(text, token);
      if (answer) wire.send(answer);
      if (is === 'welcome') resolve();
      else if (is === 'refusal') reject(new Error(`not authenticated: ${text}`));
    };
    const wire = new Wire({
      port,
      path: speech.path,
      from: `127.0.0.${1 + (index % ADDRESSES)}`,
      frame: hear,
      opened() {
        const hello = speech.hello(token);
        if (hello) wire.send(hello);
      },
      closed(refused) {
        reject(new Error(`a handshake was answered ${refused?.status}`));
        if (wires.has(wire)) throw new Error('a socket was closed');
      },
    });
    wires.add(wire);
  });
}

serveRole({
  async connect(tokens: string[]) {
    let next = 0;
    const connectSome = async () => {
      while (next < tokens.length) {
        const index = next++;
        await connect(tokens[index] as string, index);
      }
    };
    await Promise.all(Array.from({ length: CONNECTING }, connectSome));
  },
  credit: (creditPort: number) =>
    new Promise<void>((resolve) => {
      credits = dial(creditPort, '127.0.0.1', resolve).setNoDelay();
      told = messages;
    }),
  received: (): Received => ({ at: now(), messages, bytes: bytesReceived }),
  /** Resolves when so many have arrived since the start of the process. */
  waitFor: (count: number) =>
    new Promise<void>((resolve) => {
      waiting = { count, resolve };
      if (messages >= count) resolve();
    }),
  watchLatency() {
    latencies = [];
  },
  takeLatencies(): Float64Array {
    const taken = Float64Array.from(latencies ?? []);
    latencies = undefined;
    return taken;
  },
});
