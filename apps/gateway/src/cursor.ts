import type { CloseReason } from '@carillon/contracts';
import type { Head, InboxChange, InboxPage } from '@carillon/inbox';
import { countFrame, EncodedChange, encode, pageFrame } from './frames.js';
import type { Follower } from './hub.js';

/** Changes that may wait for a socket that is still being told what it missed: as many as a whole log. */
const MAX_WAITING = 500;

/**
 * Where one socket stands in its user's log. Every change after that place becomes frames exactly once and in order; until the place is
 * known, changes wait. It calls `fail` once it cannot keep that promise, and is of no use afterwards.
 */
export class Cursor implements Follower {
  readonly #push: (frame: Buffer) => void;
  readonly #fail: (reason: CloseReason) => void;
  readonly #revoked: (since: number) => void;
  #head: Head | undefined;
  #waiting: (EncodedChange | InboxPage)[] = [];

  /** `revoked` is told since when tokens of the user count; whoever has none to lose leaves it out. */
  constructor(push: (frame: Buffer) => void, fail: (reason: CloseReason) => void, revoked: (since: number) => void = () => {}) {
    this.#push = push;
    this.#fail = fail;
    this.#revoked = revoked;
  }

  /** The place of the last change that was told; undefined until `start`. */
  get head(): Head | undefined {
    return this.#head;
  }

  /** Sets the place, tells `missed` (what came after it, in order) and then what waited. */
  start(head: Head, missed: readonly InboxChange[] = []): void {
    this.#head = head;
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
    this.#revoked(since);
  }

  #advance(from: Head, encoded: EncodedChange): void {
    const { epoch, offset, unreadCount } = encoded.change;
    if (epoch === from.epoch && offset <= from.offset) return;
    if (epoch === from.epoch && offset === from.offset + 1) {
      this.#head = { epoch, offset, unreadCount };
      this.#push(encoded.frame);
      if (unreadCount !== from.unreadCount) this.#push(encoded.count);
    } else this.#fail('POSITION_LOST');
  }

  #jump(from: Head, page: InboxPage): void {
    const { epoch, offset, unreadCount } = page;
    if (epoch === from.epoch && offset === from.offset) return;
    if (epoch !== from.epoch || offset > from.offset) {
      this.#head = { epoch, offset, unreadCount };
      this.#push(encode(pageFrame(page, true)));
      if (unreadCount !== from.unreadCount) this.#push(encode(countFrame(page)));
      // The same log, shorter than it was: Redis lost its end. Whoever resumes is told so.
    } else this.#fail('POSITION_LOST');
  }

  #wait(entry: EncodedChange | InboxPage): void {
    if (this.#waiting.length >= MAX_WAITING) this.#fail('TOO_SLOW');
    else this.#waiting.push(entry);
  }
}
