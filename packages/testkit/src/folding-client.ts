import { setTimeout as sleep } from 'node:timers/promises';
import type { Notification, ServerFrame } from '@carillon/contracts';
import { type RawData, WebSocket } from 'ws';

/** Milliseconds before the first try to come back, at most; doubled each time, at random up to it, as clients should. */
const COME_BACK = 200;
const COME_BACK_CEILING = 3000;
/** Close codes from here on tell a client to stay away (docs: close codes). */
const STAY_AWAY = 3500;

type Of<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;

export interface FoldingClientOptions {
  /** Where to connect; asked for each visit, so that a client finds the gateway that stands. */
  readonly url: () => string;
  readonly token: () => string | Promise<string>;
}

/**
 * A client that knows nothing but the wire: it folds what it is told into a state, comes back by epoch and offset whenever its socket ends, and
 * notes every breach of the promise "each change once, in order, all or a snapshot". Light enough for a thousand in a process. Its user's inbox has
 * to be empty when it first comes. Ended by `stop`.
 */
export class FoldingClient {
  readonly notifications = new Map<string, Notification>();
  epoch: string | undefined;
  offset = 0;
  unreadCount = 0;
  /** Changes told twice, left out, or of something unknown; counts that do not fit. Empty if all went well. */
  readonly faults: string[] = [];
  /** How its sockets ended, by code; 1006 for those that broke. */
  readonly closes = new Map<number, number>();
  /** Visits that were greeted, and how many of them began with a snapshot in place of what was missed. */
  visits = 0;
  snapshots = 0;
  /** Answers to what `act` asked: errors by code, `ok` for the others. */
  readonly answers = new Map<string, number>();
  readonly #options: FoldingClientOptions;
  readonly #following: Promise<void>;
  readonly #listeners = new Set<(frame: ServerFrame) => void>();
  #socket: WebSocket | undefined;
  #isGreeted = false;
  #isStopped = false;

  constructor(options: FoldingClientOptions) {
    this.#options = options;
    this.#following = this.#follow();
  }

  /** Whether it is connected and was greeted. */
  get isHere(): boolean {
    return this.#isGreeted && this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Hears every frame after it was folded. */
  onFrame(listener: (frame: ServerFrame) => void): void {
    this.#listeners.add(listener);
  }

  /** Asks for something, if it is connected; the answer is counted. */
  act(frame: { readonly type: string; readonly notificationId?: string }): void {
    if (this.isHere) this.#socket?.send(JSON.stringify({ ...frame, requestId: 1 }));
  }

  /** Cuts the connection without a word. */
  cut(): void {
    this.#socket?.terminate();
  }

  /** Reads no more from the socket that is open, pings included, until `resume`. */
  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.resume();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#socket?.terminate();
    await this.#following;
  }

  async #follow(): Promise<void> {
    for (let failures = 0; !this.#isStopped; failures++) {
      const before = this.visits;
      const code = await this.#visit().catch(() => 1006);
      if (this.#isStopped) return;
      this.closes.set(code, (this.closes.get(code) ?? 0) + 1);
      if (code >= STAY_AWAY) {
        this.faults.push(`turned away for good: ${code}`);
        return;
      }
      if (this.visits > before) failures = 0;
      await sleep(Math.random() * Math.min(COME_BACK * 2 ** failures, COME_BACK_CEILING));
    }
  }

  /** One connection, until it ends; resolves with its close code. */
  async #visit(): Promise<number> {
    const token = await this.#options.token();
    const socket = new WebSocket(this.#options.url());
    this.#socket = socket;
    this.#isGreeted = false;
    const ended = new Promise<number>((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    socket.on('open', () => {
      const position = this.epoch === undefined ? {} : { epoch: this.epoch, offset: this.offset };
      socket.send(JSON.stringify({ type: 'authenticate', token, ...position }));
    });
    socket.on('message', (data: RawData) => {
      const frame = JSON.parse(data.toString()) as ServerFrame;
      this.#fold(frame);
      for (const listener of this.#listeners) listener(frame);
    });
    if (this.#isStopped) socket.terminate();
    return ended;
  }

  #fold(frame: ServerFrame): void {
    switch (frame.type) {
      case 'authenticated':
        this.#greeted(frame);
        return;
      case 'notification':
      case 'allRead':
        this.#change(frame);
        return;
      case 'unreadCount':
        if (frame.offset === this.offset) this.#expectCount(frame.data.unreadCount, 'the count');
        return;
      case 'notifications':
        if (frame.snapshot) this.#replace(frame);
        else for (const one of frame.data) this.notifications.set(one.id, one);
        this.#askFor(frame.nextCursor);
        return;
      case 'ok':
      case 'error': {
        const outcome = frame.type === 'ok' ? 'ok' : frame.code;
        this.answers.set(outcome, (this.answers.get(outcome) ?? 0) + 1);
      }
    }
  }

  #greeted({ data }: Of<'authenticated'>): void {
    this.visits++;
    this.#isGreeted = true;
    if (this.epoch === undefined) {
      this.epoch = data.epoch;
      if (data.offset > 0) this.#fault('was greeted the first time after the first change');
    } else if (!data.recovered) this.snapshots++;
    else if (data.epoch !== this.epoch || data.offset < this.offset) this.#fault(`recovered to ${data.epoch} ${data.offset}`);
  }

  #replace(page: Of<'notifications'>): void {
    this.notifications.clear();
    for (const one of page.data) this.notifications.set(one.id, one);
    this.epoch = page.epoch;
    this.offset = page.offset;
    this.unreadCount = page.unreadCount;
  }

  /** What a snapshot does not hold comes page by page; whoever tests changes nothing meanwhile. */
  #askFor(cursor: string | undefined): void {
    if (cursor !== undefined) this.#socket?.send(JSON.stringify({ type: 'getNotifications', limit: 100, cursor }));
  }

  #change(frame: Of<'notification'> | Of<'allRead'>): void {
    if (frame.offset <= this.offset) {
      this.#fault(`told ${frame.offset} again`);
      return;
    }
    if (frame.offset > this.offset + 1) this.#fault(`told ${frame.offset} next`);
    this.offset = frame.offset;
    if (frame.type === 'allRead') this.#readAll(frame.data.upTo);
    else this.#one(frame);
    this.#expectCount(frame.unreadCount, frame.type === 'allRead' ? 'allRead' : frame.event);
  }

  #readAll(upTo: number): void {
    for (const [id, one] of this.notifications) {
      if (one.readAt === null) this.notifications.set(id, { ...one, readAt: upTo, status: 'read' });
    }
    this.unreadCount = 0;
  }

  #one({ event, data }: Of<'notification'>): void {
    const before = this.notifications.get(data.id);
    if ((event === 'new') === (before !== undefined)) this.#fault(`told of ${data.id} as ${event}`);
    if (before?.readAt === null) this.unreadCount--;
    if (event === 'deleted') {
      this.notifications.delete(data.id);
      return;
    }
    this.notifications.set(data.id, data);
    if (data.readAt === null) this.unreadCount++;
  }

  #expectCount(told: number, by: string): void {
    if (told !== this.unreadCount) this.#fault(`${by} says ${told} unread, folded are ${this.unreadCount}`);
  }

  #fault(what: string): void {
    this.faults.push(`visit ${this.visits}, at ${this.offset}: ${what}`);
  }
}
