import type { ClientFrame } from '@carillon/contracts';
import { type RawData, WebSocket } from 'ws';

/** Milliseconds `next` and `request` wait unless told. */
const TIMEOUT = 10_000;

/** Any frame a server sent, loosely: a test says what it expects. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into frames of every type without narrowing each
export type ReceivedFrame = { type: string; requestId?: string | number; data?: any; [field: string]: any };

/** What may be sent; any object, since tests also send what no client should. */
type Sent = ClientFrame | { [field: string]: unknown };

/** A client of the WebSocket interface that keeps what it received. Made by `TestClient.connect`; call `close` when done. */
export class TestClient {
  /** Resolves when the socket is open. */
  static connect(url: string, options: { headers?: Record<string, string> } = {}): Promise<TestClient> {
    const socket = new WebSocket(url, options);
    const client = new TestClient(socket);
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(client));
      socket.once('error', reject);
    });
  }

  /** All frames received, in order. */
  readonly frames: ReceivedFrame[] = [];
  /** Resolves when the socket is closed, by whomever. */
  readonly closed: Promise<{ code: number; reason: string }>;
  /** The socket itself, for tests of what lies below frames. */
  readonly socket: WebSocket;
  /** Frames up to here were handed out by `next`. */
  #taken = 0;
  #requests = 0;
  readonly #waiting = new Set<() => void>();

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: RawData) => {
      this.frames.push(JSON.parse(data.toString()) as ReceivedFrame);
      for (const look of [...this.#waiting]) look();
    });
    // A socket that breaks also closes; `closed` tells.
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once('close', (code: number, reason: Buffer) => {
        resolve({ code, reason: reason.toString() });
        for (const look of [...this.#waiting]) look();
      });
    });
  }

  /** Sends an object as JSON, a string as it is. */
  send(frame: Sent | string): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** Sends a request with a `requestId` and resolves with its answer, an `error` frame included. */
  request(frame: Sent, timeout = TIMEOUT): Promise<ReceivedFrame> {
    const requestId = `request-${++this.#requests}`;
    this.send({ ...frame, requestId });
    return this.#wait(
      () => this.frames.find((received) => received.requestId === requestId),
      `the answer to ${JSON.stringify(frame.type)}`,
      timeout,
    );
  }

  /** Authenticates and resolves with the `authenticated` or `error` frame. */
  authenticate(token: string, position: { epoch?: string; offset?: number } = {}): Promise<ReceivedFrame> {
    return this.request({ type: 'authenticate', token, ...position });
  }

  /**
   * Resolves with the first frame that fits, among those received after the one `next` gave last; frames in between are passed over.
   * A string stands for a type.
   *
   * @throws Error with the frames received, when none came in time or the socket closed.
   */
  async next(fits: string | ((frame: ReceivedFrame) => boolean) = () => true, timeout = TIMEOUT): Promise<ReceivedFrame> {
    const predicate = typeof fits === 'string' ? (frame: ReceivedFrame) => frame.type === fits : fits;
    const from = this.#taken;
    const found = await this.#wait(
      () => this.frames.find((frame, index) => index >= from && predicate(frame)),
      `a frame that fits ${fits}`,
      timeout,
    );
    this.#taken = Math.max(this.#taken, this.frames.indexOf(found) + 1);
    return found;
  }

  /** Closes the socket and resolves when it is closed. */
  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }

  #wait(look: () => ReceivedFrame | undefined, what: string, timeout: number): Promise<ReceivedFrame> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(attempt);
      };
      const fail = (why: string) => {
        end();
        reject(new Error(`${why} waiting for ${what}; received: ${JSON.stringify(this.frames.slice(-10))}`));
      };
      const attempt = () => {
        const found = look();
        if (found !== undefined) {
          end();
          resolve(found);
        } else if (this.socket.readyState === WebSocket.CLOSED) fail('the socket closed');
      };
      const timer = setTimeout(() => fail(`${timeout} ms passed`), timeout);
      this.#waiting.add(attempt);
      attempt();
    });
  }
}
