import { isRevoked, type VerifiedToken } from '@carillon/access';
import { CarillonError, type ClientFrame, type CloseReason, type ServerFrame, toCarillonError } from '@carillon/contracts';
import type { Head } from '@carillon/inbox';
import type { WebSocket } from 'ws';
import type { Entry } from './admission.js';
import { countFrame, encode, errorFrame, readFrame } from './frames.js';
import { type GatewayContext, Link, type LinkListener } from './link.js';
import { RETRY_AFTER_MS } from './parts.js';
import { answer } from './requests.js';
import { Stream, type StreamOwner } from './stream.js';
import { noteOpened, noteRefused } from './trail.js';
import type { Deadline } from './wheel.js';

type RequestId = string | number | undefined;
type Frame<T extends ClientFrame['type']> = Extract<ClientFrame, { type: T }>;

/** A message's text, or undefined for a binary one. */
type Message = string | undefined;

/** Who the client proved to be. */
interface Session extends VerifiedToken {
  readonly token: string;
  /** Of the frame that brought the token. */
  readonly requestId: RequestId;
}

/** Reasons to refuse a client for what it showed. */
type Refused = Extract<CloseReason, 'BAD_PROTOCOL' | 'TOKEN_REFUSED' | 'REVOKED' | 'CONNECTION_LIMIT' | 'TOO_MANY_REQUESTS'>;

/** Milliseconds a timer of the wheel is set ahead at most; a later time is waited for in several turns. */
const LONGEST_TIMER_MS = 24 * 3600 * 1000;

/** Frames that may wait while a token is proved: a stranger's thousands of sockets must not hold gigabytes if its issuer is slow to answer. */
const UNPROVED_WAITING_FRAMES = 10;

/** The protocol of one client: proves who it is, answers its frames one after the other, and has it told the changes of its inbox. */
export class Connection implements LinkListener, StreamOwner {
  readonly #context: GatewayContext;
  readonly #entry: Entry;
  readonly #link: Link;
  readonly #messages: Message[] = [];
  #isWorking = false;
  #session: Session | undefined;
  #stream: Stream | undefined;
  /** Whether it has one of its user's places. */
  #isSeated = false;
  /** Whether `authenticated` was sent. */
  #isGreeted = false;
  /** Since when tokens of the user count, ms, as far as it was told. */
  #revokedSince = 0;
  /** Messages since the beginning of the window that runs, and when that began, ms of `performance.now()`. */
  #received = 0;
  #windowBegan = 0;
  /** The time to authenticate, then the life of the token. */
  #deadline: Deadline;
  readonly #onClosed: (connection: Connection) => void;

  constructor(ws: WebSocket, entry: Entry, context: GatewayContext, onClosed: (connection: Connection) => void) {
    this.#context = context;
    this.#entry = entry;
    const { wheel, options } = context;
    this.#onClosed = onClosed;
    this.#deadline = wheel.after(options.authenticateWithinMs, () => this.#refuse('NOT_AUTHENTICATED', 'BAD_PROTOCOL'));
    this.#link = new Link(ws, context, this);
  }

  /** Closes the socket with a reason, once, and with how long its client should stay away, ms. */
  close(reason: CloseReason, retryAfter?: number): void {
    this.#link.close(reason, retryAfter);
  }

  /** Cuts the connection. */
  terminate(): void {
    this.#link.terminate();
  }

  // What the link tells

  message(message: Message): void {
    const { maxWaitingFrames } = this.#context.options;
    const most = this.#session ? maxWaitingFrames : Math.min(maxWaitingFrames, UNPROVED_WAITING_FRAMES);
    if (this.#isTooMuch() || this.#messages.length >= most) {
      this.close('TOO_MANY_REQUESTS', RETRY_AFTER_MS);
      return;
    }
    // The first frame is there; how long it takes to prove it is our affair.
    if (!this.#session) this.#deadline.cancel();
    this.#messages.push(message);
    if (!this.#isWorking) void this.#work();
  }

  ending(): void {
    this.#deadline.cancel();
    this.#messages.length = 0;
    this.#entry.leave();
    this.#stream?.stop();
    this.#standUp();
  }

  closed(): void {
    this.#onClosed(this);
  }

  // Outgoing

  /** Sends a frame; nothing goes out to a client whose token has expired. */
  send(frame: Buffer, isAnswer: boolean): void {
    if (this.#hasExpired()) this.close('TOKEN_EXPIRED');
    else this.#link.push(frame, isAnswer);
  }

  #send(frame: ServerFrame, requestId?: RequestId): void {
    this.send(encode(frame, requestId), true);
  }

  #sendError(error: CarillonError, requestId: RequestId): void {
    this.#context.parts.metrics.connectionError(error.code);
    this.#send(errorFrame(error), requestId);
  }

  #fault(thrown: unknown, requestId: RequestId): void {
    const error = toCarillonError(thrown);
    if (error.code === 'INTERNAL') this.#context.parts.log.error('a frame could not be answered', { userId: this.#session?.userId, error });
    this.#sendError(error, requestId);
  }

  /** Tells the client who it is and where its inbox stands. */
  greet(head: Head, recovered: boolean): void {
    const session = this.#session;
    if (this.#link.isClosing || !session) return;
    const { unreadCount, epoch, offset } = head;
    this.#isGreeted = true;
    noteOpened(this.#context.parts.audit, session.userId);
    this.#send({ type: 'authenticated', data: { userId: session.userId, unreadCount, epoch, offset, recovered } }, session.requestId);
    this.#send(countFrame(head));
  }

  // Life of the token

  #hasExpired(): boolean {
    return this.#session !== undefined && Date.now() >= this.#session.expiresAt;
  }

  /** Tells the client in good time that its token expires, and closes when it does. */
  #watchExpiry(expiresAt: number): void {
    this.#at(expiresAt - this.#context.options.tellExpiryBeforeMs, () => {
      // A client that is not greeted yet could not renew.
      if (!this.#isGreeted && !this.#hasExpired()) return this.#at(Date.now() + 1, () => this.#watchExpiry(expiresAt));
      this.#send({ type: 'tokenExpiring', data: { expiresAt } });
      this.#at(expiresAt, () => this.close('TOKEN_EXPIRED'));
    });
  }

  /** Does something at a time, ms since the epoch, in place of what was to be done before. A timer may be early against the wall clock. */
  #at(time: number, run: () => void): void {
    this.#deadline.cancel();
    if (this.#link.isClosing) return;
    this.#deadline = this.#context.wheel.after(Math.min(time - Date.now(), LONGEST_TIMER_MS), () => {
      if (Date.now() >= time) run();
      else this.#at(time, run);
    });
  }

  /** Ends a session whose token was issued before; one that is just beginning is answered first. */
  revoked(since: number): void {
    this.#revokedSince = Math.max(this.#revokedSince, since);
    const session = this.#session;
    if (!session || this.#link.isClosing || !isRevoked(session, this.#revokedSince)) return;
    if (this.#isGreeted) this.close('REVOKED');
    else this.#refuse('TOKEN_REVOKED', 'REVOKED', session.requestId);
  }

  // Incoming

  /** Counts a message; whether it is one too many. Two numbers a socket: a limiter with a timer for each would cost more than the messages. */
  #isTooMuch(): boolean {
    const { count, window } = this.#context.options.rateMessages;
    const now = performance.now();
    if (this.#received === 0 || now - this.#windowBegan >= window) {
      this.#windowBegan = now;
      this.#received = 0;
    }
    return ++this.#received > count;
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    while (this.#messages.length > 0 && !this.#link.isClosing) {
      const message = this.#messages.shift();
      try {
        if (this.#session) await this.#answerMessage(this.#session, message);
        else await this.#authenticateMessage(message);
        await this.#link.drained();
      } catch (error) {
        this.#fault(error, undefined);
      }
    }
    this.#isWorking = false;
  }

  // Authentication: a ladder of refusals

  #refuse(
    error: CarillonError | 'BAD_MESSAGE' | 'NOT_AUTHENTICATED' | 'TOKEN_REVOKED' | 'CONNECTION_LIMIT',
    reason: Refused,
    requestId?: RequestId,
    retryAfter?: number,
  ): void {
    const told = typeof error === 'string' ? new CarillonError(error) : error;
    const { audit, metrics } = this.#context.parts;
    metrics.authenticationFailed('socket', told.code);
    if (reason !== 'BAD_PROTOCOL') noteRefused(audit, told.code, this.#session?.userId);
    this.#sendError(told, requestId);
    this.close(reason, retryAfter);
  }

  async #authenticateMessage(message: Message): Promise<void> {
    if (message === undefined) return this.#refuse('BAD_MESSAGE', 'BAD_PROTOCOL');
    const received = readFrame(message);
    this.#context.parts.metrics.frameReceived(received.type);
    if (!received.isJson) return this.#refuse('BAD_MESSAGE', 'BAD_PROTOCOL');
    if (received.type !== 'authenticate') return this.#refuse('NOT_AUTHENTICATED', 'BAD_PROTOCOL', received.requestId);
    if ('error' in received) return this.#refuse(received.error, 'TOKEN_REFUSED', received.requestId);
    const frame = received.frame as Frame<'authenticate'>;
    const session = await this.#prove(frame);
    if (!session || this.#link.isClosing) return;
    this.#session = session;
    this.#entry.leave();
    this.#watchExpiry(session.expiresAt);
    await this.#begin(session, frame);
  }

  /** The session a token stands for, or undefined after the refusal. */
  async #prove(frame: Frame<'authenticate'>): Promise<Session | undefined> {
    try {
      return { ...(await this.#context.parts.verify(frame.token)), token: frame.token, requestId: frame.requestId };
    } catch (error) {
      await this.#rejectToken(error, frame.requestId);
      return undefined;
    }
  }

  /** A token that is no good keeps its client away; a verifier that could not tell does not, and who guesses is to slow down first. */
  async #rejectToken(thrown: unknown, requestId: RequestId): Promise<void> {
    const error = toCarillonError(thrown);
    if (error.verdict !== 'never') return this.turnAway(error, requestId);
    const pause = error.code === 'TOKEN_INVALID' ? await this.#entry.guessed() : undefined;
    if (this.#link.isClosing) return;
    if (pause === undefined) this.#refuse(error, 'TOKEN_REFUSED', requestId);
    else this.#refuse(new CarillonError('RATE_LIMITED', { retryAfter: pause }), 'TOO_MANY_REQUESTS', requestId, pause);
  }

  /** The client cannot be served now, and may come back. */
  turnAway(thrown: unknown, requestId?: RequestId): void {
    if (this.#link.isClosing) return;
    this.#fault(thrown, requestId);
    this.close('POSITION_LOST', toCarillonError(thrown).retryAfter ?? RETRY_AFTER_MS);
  }

  async #begin(session: Session, { epoch, offset, requestId }: Frame<'authenticate'>): Promise<void> {
    try {
      if (!(await this.#sitDown(session.userId))) return this.#refuse('CONNECTION_LIMIT', 'CONNECTION_LIMIT', requestId);
      if (this.#link.isClosing) return;
      this.#stream = new Stream(session.userId, this.#context, this.#link, this);
      await this.#stream.start(epoch === undefined || offset === undefined ? undefined : { epoch, offset });
    } catch (thrown) {
      return this.turnAway(await this.#whyNot(thrown, session), requestId);
    }
    if (!this.#link.isClosing) this.#link.startHeartbeat();
  }

  /** Takes one of the user's places; false if there is none. */
  async #sitDown(userId: string): Promise<boolean> {
    if (!(await this.#context.parts.seats.take(userId))) return false;
    this.#isSeated = true;
    if (this.#link.isClosing) this.#standUp();
    return true;
  }

  #standUp(): void {
    if (this.#isSeated && this.#session) this.#context.parts.seats.giveBack(this.#session.userId);
    this.#isSeated = false;
  }

  /** Why a session cannot begin. A revocation is told along with the log, which nobody gets while their person is erased: it is asked for here. */
  async #whyNot(thrown: unknown, { userId }: Session): Promise<unknown> {
    if (toCarillonError(thrown).code !== 'ERASURE_UNDER_WAY') return thrown;
    try {
      const [since = 0] = await this.#context.parts.revocations.since([userId]);
      this.revoked(since);
      return thrown;
    } catch (error) {
      return error;
    }
  }

  // Frames of a client that is known

  async #answerMessage(session: Session, message: Message): Promise<void> {
    const received = message === undefined ? undefined : readFrame(message);
    this.#context.parts.metrics.frameReceived(received?.type ?? 'unknown');
    if (this.#hasExpired()) return this.close('TOKEN_EXPIRED');
    if (received && 'frame' in received && received.frame.type === 'authenticate') return this.#renew(session, received.frame);
    if (!(await this.#isStillValid(session))) return;
    if (!received) return this.#sendError(new CarillonError('BAD_MESSAGE'), undefined);
    if ('error' in received) {
      // "Any failed authenticate" closes, a malformed one too.
      if (received.type === 'authenticate') return this.#refuse(received.error, 'TOKEN_REFUSED', received.requestId);
      return this.#sendError(received.error, received.requestId);
    }
    try {
      this.#send(await answer(this.#context.parts, session.userId, received.frame), received.requestId);
    } catch (error) {
      this.#fault(error, received.requestId);
    }
  }

  /** Checks the token again, as with every message, since it may have been revoked; closes if it is no longer good. */
  async #isStillValid(session: Session): Promise<boolean> {
    try {
      await this.#context.parts.verify(session.token);
      return !this.#link.isClosing;
    } catch (error) {
      if (toCarillonError(error).code === 'TOKEN_EXPIRED') this.close('TOKEN_EXPIRED');
      else await this.#rejectToken(error, undefined);
      return false;
    }
  }

  async #renew(session: Session, frame: Frame<'authenticate'>): Promise<void> {
    const renewed = await this.#prove(frame);
    if (!renewed || this.#link.isClosing) return;
    if (renewed.userId !== session.userId) {
      const error = new CarillonError('TOKEN_INVALID', { message: 'The client token is for another user than this connection.' });
      return this.#refuse(error, 'TOKEN_REFUSED', frame.requestId);
    }
    if (isRevoked(renewed, this.#revokedSince)) return this.#refuse('TOKEN_REVOKED', 'REVOKED', frame.requestId);
    this.#session = renewed;
    this.#watchExpiry(renewed.expiresAt);
    const head = this.#stream?.head;
    if (head) this.greet(head, false);
  }
}
