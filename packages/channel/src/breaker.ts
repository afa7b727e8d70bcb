/** A provider after so many failures in a row is left alone. */
const FAILURES_TO_OPEN = 5;
/** How long at first, ms; twice as long after each probe that fails. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
/** A provider that is back is given one call, then twice as many at once with each that succeeds, until this many: then it is trusted. */
const TRUSTED_AT = 64;

/** What a call to a provider showed of its health. */
export type Showing = 'works' | 'fails' | 'nothing';

/**
 * A circuit breaker for one provider in one process (M. Nygard, Release It!): closed while it works; after failures in a row open, that is, not called;
 * then half open: first one call, then more and more, so that what was held does not fall upon it all at once.
 */
export class Breaker {
  #failures = 0;
  /** Pauses in a row; 0 while trusted. */
  #pauses = 0;
  #openSince = 0;
  #openUntil = 0;
  #inFlight = 0;
  /** Calls that may be under way at once. */
  #allowed = Number.POSITIVE_INFINITY;

  /** Whether a call would be let through now. */
  isAvailable(now = Date.now()): boolean {
    return now >= this.#openUntil && this.#inFlight < this.#allowed;
  }

  /** Lets one call through, or not. Whoever is let through calls the function once the call is over. */
  acquire(now = Date.now()): ((showing: Showing) => void) | undefined {
    if (!this.isAvailable(now)) return undefined;
    this.#inFlight++;
    return (showing) => {
      this.#inFlight--;
      if (showing === 'works') this.#works();
      else if (showing === 'fails') this.#fails();
    };
  }

  /** Leaves the provider alone for `ms`: it asked for it, or refuses our credentials. */
  pause(ms: number, now = Date.now()): void {
    this.#open(ms, now);
  }

  /** How long what finds it closed to calls should wait, ms: the longer it has been away, the further spread, so that waiting costs little. */
  holdFor(now = Date.now()): number {
    const away = Math.min(60_000, Math.max(1000, now - this.#openSince));
    return Math.max(0, this.#openUntil - now) + Math.ceil(Math.random() * away);
  }

  #works(): void {
    this.#failures = 0;
    if (this.#pauses === 0) return;
    this.#allowed *= 2;
    if (this.#allowed < TRUSTED_AT) return;
    this.#allowed = Number.POSITIVE_INFINITY;
    this.#pauses = 0;
  }

  #fails(now = Date.now()): void {
    this.#failures++;
    const probing = this.#pauses > 0;
    // Calls that were under way when it opened say nothing new.
    if (now < this.#openUntil || (!probing && this.#failures < FAILURES_TO_OPEN)) return;
    this.#open(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#pauses), now);
  }

  #open(ms: number, now: number): void {
    if (this.#pauses === 0) this.#openSince = now;
    this.#pauses++;
    this.#openUntil = Math.max(this.#openUntil, now + ms);
    this.#allowed = 1;
  }
}
