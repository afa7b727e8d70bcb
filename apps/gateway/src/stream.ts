import type { CloseReason } from '@carillon/contracts';
import type { Head, InboxPage, Position, Resumption } from '@carillon/inbox';
import { Cursor, type CursorOwner } from './cursor.js';
import { changeFrame, countFrame, encode, pageFrame } from './frames.js';
import type { GatewayContext, Link } from './link.js';
import { PAGE_DEFAULT } from './parts.js';
import { idsOfChanges, idsOfPage, noteDone } from './trail.js';

/** Whose stream it is, and what it asks of its connection. */
export interface StreamOwner {
  /** Sends a frame; `answer`: without waiting for others. */
  send(frame: Buffer, answer: boolean): void;
  /** The inbox is followed from here on, or again from where the client left off: says so to the client. */
  greet(head: Head, recovered: boolean): void;
  /** Tokens of the user count since a moment only, ms. */
  revoked(since: number): void;
  close(reason: CloseReason): void;
  /** The client cannot be told what it missed now, and may come back. */
  turnAway(error: unknown): void;
}

/** What one connection is told of its user's inbox: what it missed, then each change as it comes. */
export class Stream implements CursorOwner {
  readonly #userId: string;
  readonly #context: GatewayContext;
  readonly #link: Link;
  readonly #owner: StreamOwner;
  readonly #cursor: Cursor;

  constructor(userId: string, context: GatewayContext, link: Link, owner: StreamOwner) {
    this.#userId = userId;
    this.#context = context;
    this.#link = link;
    this.#owner = owner;
    this.#cursor = new Cursor(this);
  }

  /** The place of the last change that was told. */
  get head(): Head | undefined {
    return this.#cursor.head;
  }

  /** Subscribes, then tells what was missed, then goes live: the only order without a gap. @throws REDIS_UNAVAILABLE, ERASURE_UNDER_WAY */
  async start(from: Position | undefined): Promise<void> {
    const { hub, parts } = this.#context;
    if (!from) return this.#goLive(await hub.join(this.#userId, this.#cursor));
    const resumed = await hub.join(this.#userId, this.#cursor, from);
    if (this.#link.isClosing) return;
    if (resumed.recovered) {
      noteDone(parts.audit, this.#userId, 'authenticate', idsOfChanges(resumed.changes));
      this.#owner.greet(resumed, true);
      await this.#replay(resumed);
      return this.#cursor.start(resumed);
    }
    const page = await parts.inbox.page(this.#userId, { limit: PAGE_DEFAULT });
    if (this.#link.isClosing) return;
    noteDone(parts.audit, this.#userId, 'authenticate', idsOfPage(page));
    this.#goLive(page, page);
  }

  /** Hears no more. */
  stop(): void {
    this.#context.hub.leave(this.#userId, this.#cursor);
  }

  #goLive(head: Head, snapshot?: InboxPage): void {
    if (this.#link.isClosing) return;
    this.#owner.greet(head, false);
    if (snapshot) this.#owner.send(encode(pageFrame(snapshot, true)), true);
    this.#cursor.start(head);
  }

  async #replay({ changes }: Resumption & { recovered: true }, told?: (head: Head) => void): Promise<void> {
    for (const change of changes) {
      if (this.#link.isClosing) return;
      this.#owner.send(encode(changeFrame(change)), true);
      told?.(change);
      await this.#link.drained();
    }
  }

  // What the cursor asks

  push(frame: Buffer): void {
    this.#owner.send(frame, false);
  }

  fail(reason: CloseReason): void {
    this.#owner.close(reason);
  }

  revoked(since: number): void {
    this.#owner.revoked(since);
  }

  get isCrowded(): boolean {
    return this.#link.isCrowded;
  }

  /** Tells what was left out while too much waited for the client, once it has taken it. */
  async catchUp(): Promise<void> {
    try {
      for (;;) {
        await this.#link.drained();
        const from = this.#cursor.head as Head;
        const at = this.#link.isClosing ? undefined : await this.#tellMissed(from);
        if (!at || this.#cursor.caughtUp(at)) return;
        // What was announced is in the log, unless Redis lost its end: reading on would find nothing, again and again.
        if (at.epoch === from.epoch && at.offset === from.offset) return this.#owner.close('POSITION_LOST');
      }
    } catch (error) {
      this.#owner.turnAway(error);
    }
  }

  /** Tells all that came after a place, and where that ends; undefined if the client is gone. */
  async #tellMissed(from: Head): Promise<Head | undefined> {
    const { inbox } = this.#context.parts;
    const missed = await inbox.since(this.#userId, from);
    // A client that renews its token meanwhile is told where it stands.
    if (missed.recovered) await this.#replay(missed, (head) => this.#cursor.told(head));
    const at = missed.recovered ? missed : await inbox.page(this.#userId, { limit: PAGE_DEFAULT });
    if (this.#link.isClosing) return undefined;
    if ('data' in at) this.#owner.send(encode(pageFrame(at, true)), true);
    if (at.unreadCount !== from.unreadCount) this.#owner.send(encode(countFrame(at)), true);
    return { epoch: at.epoch, offset: at.offset, unreadCount: at.unreadCount };
  }
}
