import type { CloseReason } from '@carillon/contracts';
import type { Head, InboxChange, InboxPage, Position } from '@carillon/inbox';
import { countFrame, EncodedChange, encode, pageFrame } from './frames.js';
import type { Follower } from './hub.js';

/** Changes that may wait for a socket that is still being told what it missed: as many as a whole log. */
const MAX_WAITING = 500;

/** What a cursor may ask of its socket. Whoever has no token to lose, or nothing to catch up by, leaves these out. */
export interface CursorOwner {
  push(frame: Buffer): void;
  fail(reason: CloseReason): void;
  /** Is told since when tokens of the user count. */
  revoked?(since: number): void;
  /** Whether so much waits for the socket that changes are left out. */
  readonly isCrowded?: boolean;
  /** The first change was left out: tell all after `head`, then `caughtUp`. */
  catchUp?(): void;
}

/**
 * Where one socket stands in its user's log. Every change after that place becomes frames exactly once and in order; until the place is
 * known, changes wait. It calls `fail` once it cannot keep that promise, and is of no use afterwards.
 */
export class Cursor implements Follower {
  readonly #owner: CursorOwner;
  #head: Head | undefined;
  #waiting: (EncodedChange | InboxPage)[] = [];
  /** The last place it was to tell and did not, since the socket is crowded; undefined while nothing is left out. */
  #behind: Position | undefined;

  constructor(owner: CursorOwner) {
    this.#owner = owner;
  }

  /** The place of the last change that was told; undefined until `start`. */
  get head(): Head | undefined {
    return this.#head;
  }

  /** Whether changes were left out that are still to be told. */
  get isBehind(): boolean {
    return this.#behind !== undefined;
  }

  /** Takes note that all up to a place was told by whoever caught up. False if more was left out meanwhile. */
  caughtUp(head: Head): boolean {
    this.#head = placeOf(head);
    if (this.#behind && this.#behind.epoch !== head.epoch) {
      // Which of the two logs is the newer one only another reading tells.
      this.#behind = this.#head;
      return false;
    }
    if (this.#behind && this.#behind.offset > head.offset) return false;
    this.#behind = undefined;
    return true;
  }

  /** Takes note that a change was told by whoever is catching up. */
  told(head: Head): void {
    this.#head = placeOf(head);
  }

  /** Sets the place, tells `missed` (what came after it, in order) and then what waited. */
  start(head: Head, missed: readonly InboxChange[] = []): void {
    this.#head = placeOf(head);
    for (const change of missed) this.change(new EncodedChange(change));
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const entry of waiting) {
      if (entry instanceof EncodedChange) this.change(entry);
      else this.lost(entry);
    }
  }

  change(encoded: EncodedChange): void {
    if (this.#head) this.#advance(this.#head, encoded);
    else this.#wait(encoded);
  }

  lost(page: InboxPage): void {
    if (this.#head) this.#jump(this.#head, page);
    else this.#wait(page);
  }

  revoked(since: number): void {
    this.#owner.revoked?.(since);
  }

  #advance(from: Head, encoded: EncodedChange): void {
    const { epoch, offset, unreadCount } = encoded.change;
    if (epoch === from.epoch && offset <= from.offset) return;
    if (this.#leavesOut(encoded.change)) return;
    if (epoch === from.epoch && offset === from.offset + 1) {
      this.#head = { epoch, offset, unreadCount };
      this.#owner.push(encoded.frame);
      if (unreadCount !== from.unreadCount) this.#owner.push(encoded.count);
    } else this.#owner.fail('POSITION_LOST');
  }

  #jump(from: Head, page: InboxPage): void {
    const { epoch, offset, unreadCount } = page;
    if (epoch === from.epoch && offset === from.offset) return;
    if (this.#leavesOut(page)) return;
    if (epoch !== from.epoch || offset > from.offset) {
      this.#head = { epoch, offset, unreadCount };
      this.#owner.push(encode(pageFrame(page, true)));
      if (unreadCount !== from.unreadCount) this.#owner.push(encode(countFrame(page)));
      // The same log, shorter than it was: Redis lost its end. Whoever resumes is told so.
    } else this.#owner.fail('POSITION_LOST');
  }

  /** Whether a change is left out, to be read from the log once the socket has taken what lies before it. */
  #leavesOut({ epoch, offset }: Position): boolean {
    if (!this.#behind && !this.#owner.isCrowded) return false;
    const isFirst = this.#behind === undefined;
    this.#behind = { epoch, offset };
    if (isFirst) this.#owner.catchUp?.();
    return true;
  }

  #wait(entry: EncodedChange | InboxPage): void {
    if (this.#waiting.length >= MAX_WAITING) this.#owner.fail('TOO_SLOW');
    else this.#waiting.push(entry);
  }
}

/** The place alone: what was read with it, perhaps a whole log, must not be kept as long as the socket is idle. */
const placeOf = ({ epoch, offset, unreadCount }: Head): Head => ({ epoch, offset, unreadCount });
