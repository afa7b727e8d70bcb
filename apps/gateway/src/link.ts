import { CarillonError, type CloseReason, closeCodes, FRAME_MAX_BYTES } from '@carillon/contracts';
import type { RawData, WebSocket } from 'ws';
import { encode, errorFrame } from './frames.js';
import type { Hub } from './hub.js';
import { Outbox, type Pace } from './outbox.js';
import type { GatewayOptions, GatewayParts } from './parts.js';
import { createSocketWriter, sizeOf, textOf } from './socket-writer.js';
import type { Wheel } from './wheel.js';

/** What all sockets of a gateway share. */
export interface GatewayContext {
  readonly parts: GatewayParts;
  readonly options: GatewayOptions;
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

/** Bytes on their way above which a client waits for its next answer or its next missed change. */
const PACE_BYTES = 256 * 1024;
/** Milliseconds between looks at a socket that is being waited for. */
const PACE_MS = 10;
/** Milliseconds between looks at a socket that has bytes waiting. */
export const DRAIN_CHECK_MS = 1000;

/** One client's socket: its outbox, its heartbeat and its end. It knows nothing of what frames say. */
export class Link {
  readonly #ws: WebSocket;
  readonly #context: GatewayContext;
  readonly #listener: LinkListener;
  readonly #outbox: Outbox;
  /** The code we closed with. */
  #closeCode: number | undefined;
  #hasEnded = false;
  #cancelBeat: () => void = () => {};
  #cancelDrainCheck: (() => void) | undefined;

  constructor(ws: WebSocket, context: GatewayContext, listener: LinkListener) {
    this.#ws = ws;
    this.#context = context;
    this.#listener = listener;
    const { metrics } = context.parts;
    const limits = { maxBytes: context.options.maxBufferedBytes, maxWaitMs: context.options.maxUndrainedMs };
    this.#outbox = new Outbox(createSocketWriter(ws, metrics), () => ws.bufferedAmount, limits, context.pace);
    metrics.connectionOpened();
    ws.on('message', (data, isBinary) => this.#receive(data, isBinary));
    ws.on('error', (error: NodeJS.ErrnoException) => metrics.connectionError(error.code ?? 'UNKNOWN'));
    ws.on('close', (code) => {
      this.#end();
      this.#cancelBeat();
      metrics.connectionClosed(this.#closeCode ?? code);
      listener.closed();
    });
  }

  get isClosing(): boolean {
    return this.#closeCode !== undefined || this.#ws.readyState !== this.#ws.OPEN;
  }

  /** Sends a frame; an answer at the end of this tick, changes in a flood a few at a time. A client that leaves too many bytes lying is closed. */
  push(frame: Buffer, answer: boolean): void {
    if (this.isClosing) return;
    const reason = this.#outbox.push(frame, answer);
    if (reason) this.close(reason);
    else this.#cancelDrainCheck ??= this.#context.wheel.after(DRAIN_CHECK_MS, () => this.#checkDrain());
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
    this.#cancelBeat = this.#context.wheel.after(this.#context.options.closeWithinMs, () => this.terminate());
  }

  /** Cuts the connection. */
  terminate(): void {
    this.#ws.terminate();
  }

  /** Starts the heartbeat: a client that does not answer pings is closed. */
  startHeartbeat(): void {
    const { pingEveryMs } = this.#context.options;
    this.#ws.on('pong', () => this.#beatIn(pingEveryMs));
    // The first comes after a random part, so that clients that came together do not beat together.
    this.#beatIn(Math.random() * pingEveryMs);
  }

  /** Resolves when the client has taken most of what was sent, or the link is closing. */
  async drained(): Promise<void> {
    while (!this.isClosing && this.#outbox.size > PACE_BYTES) await new Promise((resolve) => setTimeout(resolve, PACE_MS));
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.isClosing) return;
    // Our own server refuses larger ones as they come in, a lent one may not.
    if (sizeOf(data) > FRAME_MAX_BYTES) {
      this.push(encode(errorFrame(new CarillonError('PAYLOAD_TOO_LARGE'))), true);
      this.close('BAD_PROTOCOL');
    } else this.#listener.message(isBinary ? undefined : textOf(data));
  }

  #beatIn(ms: number): void {
    if (this.isClosing) return;
    const { wheel, options } = this.#context;
    this.#cancelBeat();
    this.#cancelBeat = wheel.after(ms, () => {
      if (this.isClosing) return;
      this.#ws.ping();
      this.#cancelBeat = wheel.after(options.pongWithinMs, () => this.close('NO_PONG'));
    });
  }

  #checkDrain(): void {
    this.#cancelDrainCheck = undefined;
    const state = this.#outbox.check();
    if (state === 'TOO_SLOW') this.close(state);
    else if (state === 'waiting') this.#cancelDrainCheck = this.#context.wheel.after(DRAIN_CHECK_MS, () => this.#checkDrain());
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cancelBeat();
    this.#cancelDrainCheck?.();
    this.#listener.ending();
  }
}
