import { isRevoked, type VerifiedToken } from '@carillon/access';
import { CarillonError, type ClientFrame, type CloseReason, type ServerFrame, toCarillonError } from '@carillon/contracts';
import type { Head, InboxPage, Resumption } from '@carillon/inbox';
import type { WebSocket } from 'ws';
import { Cursor } from './cursor.js';
import { changeFrame, countFrame, encode, errorFrame, pageFrame, readFrame } from './frames.js';
import { type GatewayContext, Link } from './link.js';
import { PAGE_DEFAULT, RETRY_AFTER_MS } from './parts.js';
import { answer } from './requests.js';
import { idsOfChanges, idsOfPage, noteDone, noteOpened, noteRefused } from './trail.js';

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

/** Milliseconds a timer of the wheel is set ahead at most; a later expiry is armed again. */
const LONGEST_TIMER_MS = 24 * 3600 * 1000;

/** The protocol of one client: proves who it is, answers its frames one after the other, and tells it the changes of its inbox. */
export class Connection {
  readonly #context: GatewayContext;
  readonly #link: Link;
  readonly #cursor: Cursor;
  readonly #messages: Message[] = [];
  #isWorking = false;
  #session: Session | undefined;
  /** Whether `authenticated` was sent. */
  #isGreeted = false;
  /** Since when tokens of the user count, ms, as far as it was told. */
  #revokedSince = 0;
  /** The time to authenticate, then the life of the token. */
  #cancelDeadline: () => void;

  constructor(ws: WebSocket, context: GatewayContext, onClosed: () => void) {
    this.#context = context;
    const { wheel, options } = context;
    this.#cancelDeadline = wheel.after(options.authenticateWithinMs, () => this.#refuse('NOT_AUTHENTICATED', 'BAD_PROTOCOL'));
    this.#link = new Link(ws, context, {
      message: (text) => this.#receive(text),
      ending: () => this.#release(),
      closed: onClosed,
    });
    this.#cursor = new Cursor(
      (frame) => this.#push(frame, false),
      (reason) => this.#link.close(reason),
      (since) => this.#hearRevoked(since),
    );
  }

  /** Closes the socket with a reason, once. */
  close(reason: CloseReason): void {
    this.#link.close(reason);
  }

  /** Cuts the connection. */
  terminate(): void {
    this.#link.terminate();
  }

  #release(): void {
    this.#cancelDeadline();
    this.#messages.length = 0;
    if (this.#session) this.#context.hub.leave(this.#session.userId, this.#cursor);
  }

  // Outgoing

  #push(frame: Buffer, answer: boolean): void {
    if (this.#hasExpired()) this.close('TOKEN_EXPIRED');
    else this.#link.push(frame, answer);
  }

  #send(frame: ServerFrame, requestId?: RequestId): void {
    this.#push(encode(frame, requestId), true);
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

  // Life of the token

  #hasExpired(): boolean {
    return this.#session !== undefined && Date.now() >= this.#session.expiresAt;
  }

  #expireAt(expiresAt: number): void {
    this.#cancelDeadline();
    // A timer may be early against the wall clock, which the token is about.
    this.#cancelDeadline = this.#context.wheel.after(Math.min(expiresAt - Date.now(), LONGEST_TIMER_MS), () => {
      if (Date.now() >= expiresAt) this.close('TOKEN_EXPIRED');
      else this.#expireAt(expiresAt);
    });
  }

  /** Ends a session whose token was issued before; one that is just beginning is answered first. */
  #hearRevoked(since: number): void {
    this.#revokedSince = Math.max(this.#revokedSince, since);
    const session = this.#session;
    if (!session || this.#link.isClosing || !isRevoked(session, this.#revokedSince)) return;
    if (this.#isGreeted) this.close('REVOKED');
    else this.#refuse(new CarillonError('TOKEN_REVOKED'), 'REVOKED', session.requestId);
  }

  // Incoming

  #receive(message: Message): void {
    if (this.#messages.length >= this.#context.options.maxWaitingFrames) {
      this.#link.close('TOO_MANY_REQUESTS', RETRY_AFTER_MS);
      return;
    }
    // The first frame is there; how long it takes to prove it is our affair.
    if (!this.#session) this.#cancelDeadline();
    this.#messages.push(message);
    if (!this.#isWorking) void this.#work();
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
    error: CarillonError | 'BAD_MESSAGE' | 'NOT_AUTHENTICATED',
    reason: 'BAD_PROTOCOL' | 'TOKEN_REFUSED' | 'REVOKED',
    requestId?: RequestId,
  ): void {
    const told = typeof error === 'string' ? new CarillonError(error) : error;
    const { audit, metrics } = this.#context.parts;
    metrics.authenticationFailed('socket', told.code);
    if (reason !== 'BAD_PROTOCOL') noteRefused(audit, told.code, this.#session?.userId);
    this.#sendError(told, requestId);
    this.close(reason);
  }

  async #authenticateMessage(message: Message): Promise<void> {
    if (message === undefined) return this.#refuse('BAD_MESSAGE', 'BAD_PROTOCOL');
    const received = readFrame(message);
    this.#context.parts.metrics.frameReceived(received.type);
    if (!received.isJson) return this.#refuse('BAD_MESSAGE', 'BAD_PROTOCOL');
    if (received.type !== 'authenticate') return this.#refuse('NOT_AUTHENTICATED', 'BAD_PROTOCOL', received.requestId);
    if ('error' in received) return this.#refuse(received.error, 'TOKEN_REFUSED', received.requestId);
    const session = await this.#prove(received.frame as Frame<'authenticate'>);
    if (!session || this.#link.isClosing) return;
    this.#session = session;
    this.#expireAt(session.expiresAt);
    await this.#begin(session, received.frame as Frame<'authenticate'>);
  }

  /** The session a token stands for, or undefined after the refusal. */
  async #prove(frame: Frame<'authenticate'>): Promise<Session | undefined> {
    try {
      return { ...(await this.#context.parts.verify(frame.token)), token: frame.token, requestId: frame.requestId };
    } catch (error) {
      this.#rejectToken(error, frame.requestId);
      return undefined;
    }
  }

  /** A token that is no good keeps its client away; a verifier that could not tell does not. */
  #rejectToken(thrown: unknown, requestId: RequestId): void {
    const error = toCarillonError(thrown);
    if (error.verdict === 'never') this.#refuse(error, 'TOKEN_REFUSED', requestId);
    else this.#turnAway(error, requestId);
  }

  /** The client cannot be served now, and may come back. */
  #turnAway(thrown: unknown, requestId: RequestId): void {
    this.#fault(thrown, requestId);
    this.#link.close('POSITION_LOST', toCarillonError(thrown).retryAfter ?? RETRY_AFTER_MS);
  }

  async #begin(session: Session, frame: Frame<'authenticate'>): Promise<void> {
    try {
      await this.#startLog(session, frame);
    } catch (thrown) {
      const error = await this.#whyNot(thrown, session);
      if (!this.#link.isClosing) this.#turnAway(error, frame.requestId);
      return;
    }
    if (!this.#link.isClosing) this.#link.startHeartbeat();
  }

  /** Why a session cannot begin. A revocation is told along with the log, which nobody gets while their person is erased: it is asked for here. */
  async #whyNot(thrown: unknown, { userId }: Session): Promise<unknown> {
    if (toCarillonError(thrown).code !== 'ERASURE_UNDER_WAY') return thrown;
    try {
      const [since = 0] = await this.#context.parts.revocations.since([userId]);
      this.#hearRevoked(since);
      return thrown;
    } catch (error) {
      return error;
    }
  }

  /** Subscribes, then tells what was missed, then goes live: the only order without a gap. */
  async #startLog(session: Session, frame: Frame<'authenticate'>): Promise<void> {
    const { userId } = session;
    const { hub, parts } = this.#context;
    if (frame.epoch === undefined || frame.offset === undefined) {
      const head = await hub.join(userId, this.#cursor);
      return this.#goLive(userId, head, frame.requestId);
    }
    const resumed = await hub.join(userId, this.#cursor, { epoch: frame.epoch, offset: frame.offset });
    if (this.#link.isClosing) return;
    if (resumed.recovered) {
      noteDone(parts.audit, userId, frame.type, idsOfChanges(resumed.changes));
      return this.#replay(userId, resumed, frame.requestId);
    }
    const page = await parts.inbox.page(userId, { limit: PAGE_DEFAULT });
    if (this.#link.isClosing) return;
    noteDone(parts.audit, userId, frame.type, idsOfPage(page));
    this.#goLive(userId, page, frame.requestId, page);
  }

  #goLive(userId: string, head: Head, requestId: RequestId, snapshot?: InboxPage): void {
    this.#sendAuthenticated(userId, head, false, requestId);
    if (snapshot) this.#send(pageFrame(snapshot, true));
    this.#cursor.start(head);
  }

  async #replay(userId: string, resumed: Resumption & { recovered: true }, requestId: RequestId): Promise<void> {
    this.#sendAuthenticated(userId, resumed, true, requestId);
    for (const change of resumed.changes) {
      if (this.#link.isClosing) return;
      this.#send(changeFrame(change));
      await this.#link.drained();
    }
    this.#cursor.start(resumed);
  }

  #sendAuthenticated(userId: string, head: Head, recovered: boolean, requestId: RequestId): void {
    if (this.#link.isClosing) return;
    const { unreadCount, epoch, offset } = head;
    this.#isGreeted = true;
    noteOpened(this.#context.parts.audit, userId);
    this.#send({ type: 'authenticated', data: { userId, unreadCount, epoch, offset, recovered } }, requestId);
    this.#send(countFrame(head));
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
      else this.#rejectToken(error, undefined);
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
    if (isRevoked(renewed, this.#revokedSince)) return this.#refuse(new CarillonError('TOKEN_REVOKED'), 'REVOKED', frame.requestId);
    this.#session = renewed;
    this.#expireAt(renewed.expiresAt);
    if (this.#cursor.head) this.#sendAuthenticated(renewed.userId, this.#cursor.head, false, frame.requestId);
  }
}
