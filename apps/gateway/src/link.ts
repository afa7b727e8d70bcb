import { CarillonError, type CloseReason, closeCodes, FRAME_MAX_BYTES } from '@carillon/contracts';
import type { RawData, WebSocket } from 'ws';
import { encode, errorFrame } from './frames.js';
import type { Hub } from './hub.js';
import { Outbox, type OutboxLimits, type Pace } from './outbox.js';
import type { GatewayOptions, GatewayParts } from './parts.js';
import { SocketWriter, sizeOf, textOf } from './socket-writer.js';
import type { Deadline, Wheel } from './wheel.js';

/** What all sockets of a gateway share. */
export interface GatewayContext {
  readonly parts: GatewayParts;
  readonly options: GatewayOptions;
  readonly outboxLimits: OutboxLimits;
  readonly hub: Hub;
  readonly wheel: Wheel;
  readonly pace: Pace;
}

/** What happens on a link. */
export interface LinkListener {
  /** A message within the size limit; undefined for a binary one, which the protocol does not have. */
  message(text: string | undefined): void;
  /** Nothing more can be sent or will be received. Called once, before `closed`. */
  ending(): void;
  /** The socket is gone. */
  closed(): void;
}

/** Milliseconds between the first looks at a socket that is being waited for, doubled each time. */
const LOOK_MS = 5;
const LOOK_MAX_MS = 320;
/** Milliseconds between looks at a socket that has bytes waiting. */
export const DRAIN_CHECK_MS = 1000;

/** Where a socket's link is kept: four listeners shared by all sockets, and none of their own, are half a kilobyte less for each. */
const LINK = Symbol('link');
type LinkedSocket = WebSocket & { [LINK]: Link };

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  (this as LinkedSocket)[LINK].received(data, isBinary);
}
function onPong(this: WebSocket): void {
  (this as LinkedSocket)[LINK].ponged();
}
function onError(this: WebSocket, error: NodeJS.ErrnoException): void {
  (this as LinkedSocket)[LINK].failed(error);
}
function onClose(this: WebSocket, code: number): void {
  (this as LinkedSocket)[LINK].gone(code);
}

/** One client's socket: its outbox, its heartbeat and its end. It knows nothing of what frames say. */
export class Link {
  readonly #ws: WebSocket;
  readonly #context: GatewayContext;
  readonly #listener: LinkListener;
  readonly #outbox: Outbox;
  /** The code we closed with. */
  #closeCode: number | undefined;
  #hasEnded = false;
  /** The next ping, the end of the wait for its pong, or that for the answer to our close. */
  #beat: Deadline | undefined;
  #drainCheck: Deadline | undefined;

  constructor(ws: WebSocket, context: GatewayContext, listener: LinkListener) {
    this.#ws = ws;
    this.#context = context;
    this.#listener = listener;
    const { metrics } = context.parts;
    this.#outbox = new Outbox(new SocketWriter(ws, metrics), context.outboxLimits, context.pace);
    metrics.connectionOpened();
    (ws as LinkedSocket)[LINK] = this;
    ws.on('message', onMessage).on('error', onError).on('close', onClose);
  }

  get isClosing(): boolean {
    return this.#closeCode !== undefined || this.#ws.readyState !== this.#ws.OPEN;
  }

  /** Sends a frame; an answer at the end of this tick, changes in a flood a few at a time. A client that leaves too many bytes lying is closed. */
  push(frame: Buffer, answer: boolean): void {
    if (this.isClosing) return;
    const reason = this.#outbox.push(frame, answer);
    if (reason) this.close(reason);
    else this.#drainCheck ??= this.#context.wheel.after(DRAIN_CHECK_MS, () => this.#checkDrain());
  }

  /** Closes with a reason, once. What was pushed before still leaves, unless the client is too slow for it. */
  close(reason: CloseReason, retryAfter?: number): void {
    if (this.isClosing) return;
    const [code, text] = closeCodes[reason];
    if (reason === 'TOO_SLOW') this.#outbox.discard();
    else this.#outbox.flush();
    this.#closeCode = code;
    this.#end();
    this.#ws.close(code, retryAfter === undefined ? text : JSON.stringify({ reason: text, retryAfter }));
    // A lent server may give a peer that is gone half a minute.
    this.#beat = this.#context.wheel.after(this.#context.options.closeWithinMs, () => this.terminate());
  }

  /** Cuts the connection. */
  terminate(): void {
    this.#ws.terminate();
  }

  /** Starts the heartbeat: a client that does not answer pings is closed. */
  startHeartbeat(): void {
    const { pingEveryMs } = this.#context.options;
    this.#ws.on('pong', onPong);
    // The first comes after a random part, so that clients that came together do not beat together.
    this.#beatIn(Math.random() * pingEveryMs);
  }

  /** Whether so much waits for the client that it gets nothing it can be told later. */
  get isCrowded(): boolean {
    return this.#outbox.size > this.#context.options.crowdedBytes;
  }

  /** Resolves when the client has taken enough of what was sent, or the link is closing. */
  async drained(): Promise<void> {
    for (let ms = LOOK_MS; !this.isClosing && this.isCrowded; ms = Math.min(2 * ms, LOOK_MAX_MS)) {
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
  }

  // What the socket tells

  received(data: RawData, isBinary: boolean): void {
    if (this.isClosing) return;
    // Our own server refuses larger ones as they come in, a lent one may not.
    if (sizeOf(data) > FRAME_MAX_BYTES) {
      this.push(encode(errorFrame(new CarillonError('PAYLOAD_TOO_LARGE'))), true);
      this.close('BAD_PROTOCOL');
    } else this.#listener.message(isBinary ? undefined : textOf(data));
  }

  ponged(): void {
    this.#beatIn(this.#context.options.pingEveryMs);
  }

  failed(error: NodeJS.ErrnoException): void {
    this.#context.parts.metrics.connectionError(error.code ?? 'UNKNOWN');
  }

  gone(code: number): void {
    this.#end();
    this.#beat?.cancel();
    this.#context.parts.metrics.connectionClosed(this.#closeCode ?? code);
    this.#listener.closed();
  }

  #beatIn(ms: number): void {
    if (this.isClosing) return;
    const { wheel, options } = this.#context;
    this.#beat?.cancel();
    this.#beat = wheel.after(ms, () => {
      if (this.isClosing) return;
      this.#ws.ping();
      // A client whose bytes do not even leave here has not had our ping yet.
      this.#beat = wheel.after(options.pongWithinMs, () => this.close(this.#outbox.size > 0 ? 'TOO_SLOW' : 'NO_PONG'));
    });
  }

  #checkDrain(): void {
    this.#drainCheck = undefined;
    const state = this.#outbox.check();
    if (state === 'TOO_SLOW') this.close(state);
    else if (state === 'waiting') this.#drainCheck = this.#context.wheel.after(DRAIN_CHECK_MS, () => this.#checkDrain());
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#beat?.cancel();
    this.#drainCheck?.cancel();
    this.#listener.ending();
  }
}
