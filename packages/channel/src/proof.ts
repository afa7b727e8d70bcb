/** How long an accepted message vouches for our settings, ms. */
const PROOF_MS = 3_600_000;

/**
 * Whether a provider has accepted our credentials and sender lately. If so, a refusal that may as well be about one device or number is about that one:
 * a token of another project, a subscription made with another key or a number abroad, which anybody can register, must not stop everybody's messages.
 */
export class Proof {
  #until = 0;

  found(): void {
    this.#until = Date.now() + PROOF_MS;
  }

  holds(): boolean {
    return Date.now() < this.#until;
  }
}
