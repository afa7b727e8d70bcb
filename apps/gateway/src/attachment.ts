import { type CloseReason, closeCodes } from '@carillon/contracts';
import type { Head } from '@carillon/inbox';
import { Cursor, type CursorOwner } from './cursor.js';
import { encode, pageFrame, payloadOf } from './frames.js';
import { DRAIN_CHECK_MS, type GatewayContext } from './link.js';
import { type Exit, Outbox } from './outbox.js';
import { PAGE_DEFAULT, RETRY_AFTER_MS } from './parts.js';
import type { Deadline } from './wheel.js';

/** Any socket that a program wants a user's frames sent to; a `ws` WebSocket is one. */
export interface AttachableSocket {
  send(data: string): void;
  /** 0 connecting, 1 open, above that of no more use. */
  readonly readyState: number;
  /** Bytes handed to `send` that have not left. */
  readonly bufferedAmount: number;
  on(event: string, listener: () => void): unknown;
  off?(event: string, listener: () => void): unknown;
  /** Called when the socket is too slow or its position in the log is lost, with a close code and reason. */
  close?(code: number, reason: string): void;
}

const CONNECTING = 0;
const OPEN = 1;

/** One socket that hears a user's changes and is not listened to. */
export class Attachment implements Exit, CursorOwner {
  readonly #userId: string;
  readonly #socket: AttachableSocket;
  readonly #context: GatewayContext;
  readonly #outbox: Outbox;
  readonly #cursor: Cursor;
  readonly #listeners: ReadonlyArray<readonly [string, () => void]>;
  readonly #onDetached: () => void;
  readonly #opened: Promise<void>;
  #detached = false;
  #timer: Deadline | undefined;

  /** Hears every change from the moment of this call: the log is read in this very tick. `onDetached` is called once, whoever detaches. */
  constructor(userId: string, socket: AttachableSocket, context: GatewayContext, onDetached: () => void) {
    this.#userId = userId;
    this.#socket = socket;
    this.#context = context;
    this.#outbox = new Outbox(this, context.outboxLimits, context.pace);
    this.#cursor = new Cursor(this);
    this.#onDetached = onDetached;
    let open = () => {};
    this.#opened = socket.readyState === CONNECTING ? new Promise((resolve) => (open = resolve)) : Promise.resolve();
    this.#listeners = [
      ['open', () => open()],
      ['close', () => this.detach()],
      // Without a listener an error event would end the process; a `close` follows it.
      ['error', () => {}],
    ];
    for (const [event, listener] of this.#listeners) socket.on(event, listener);
    void this.#start(() => context.parts.inbox.head(userId));
  }

  /** Takes back what was added to the socket, and leaves it open. */
  detach(): void {
    if (this.#detached) return;
    this.#detached = true;
    this.#timer?.cancel();
    this.#outbox.discard();
    for (const [event, listener] of this.#listeners) this.#socket.off?.(event, listener);
    this.#context.hub.leave(this.#userId, this.#cursor);
    this.#onDetached();
  }

  async #start(read: () => Promise<Head>): Promise<void> {
    const { hub, parts, wheel } = this.#context;
    let again = read;
    try {
      const head = await read();
      // Once read it stays the place to start from, whatever fails below.
      again = async () => head;
      await this.#opened;
      if (!this.#detached) await this.#follow(head);
    } catch (error) {
      if (this.#detached) return;
      parts.log.warn('an attached socket could not be subscribed; it is tried again', { userId: this.#userId, error });
      hub.leave(this.#userId, this.#cursor);
      this.#timer = wheel.after(RETRY_AFTER_MS * (1 + Math.random()), () => void this.#start(again));
    }
  }

  async #follow(head: Head): Promise<void> {
    const missed = await this.#context.hub.join(this.#userId, this.#cursor, head);
    if (missed.recovered) return this.#cursor.start(head, missed.changes);
    const page = await this.#context.parts.inbox.page(this.#userId, { limit: PAGE_DEFAULT });
    this.push(encode(pageFrame(page, true)));
    this.#cursor.start(page);
  }

  /** Sends a frame. */
  push(frame: Buffer): void {
    if (this.#detached) return;
    const reason = this.#outbox.push(frame, false);
    if (reason) this.fail(reason);
    else this.#timer ??= this.#context.wheel.after(DRAIN_CHECK_MS, () => this.#checkDrain());
  }

  get buffered(): number {
    return this.#socket.bufferedAmount;
  }

  #checkDrain(): void {
    this.#timer = undefined;
    const state = this.#outbox.check();
    if (state === 'TOO_SLOW') this.fail(state);
    else if (state === 'waiting') this.#timer = this.#context.wheel.after(DRAIN_CHECK_MS, () => this.#checkDrain());
  }

  write(frames: readonly Buffer[]): void {
    try {
      for (const frame of frames) if (this.#socket.readyState === OPEN) this.#socket.send(payloadOf(frame).toString());
      this.#context.parts.metrics.framesSent(frames.length);
    } catch {
      this.fail('POSITION_LOST');
    }
  }

  /** Detaches the socket, and closes it if it can be. */
  fail(reason: CloseReason): void {
    this.detach();
    try {
      const [code, text] = closeCodes[reason];
      this.#socket.close?.(code, text);
    } catch {
      // The socket is its owner's; that it cannot be closed is nothing we could act on.
    }
  }
}
