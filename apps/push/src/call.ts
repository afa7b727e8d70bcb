import { failed, retryAfterOf, type Sent } from '@carillon/channel';
import type { ErrorCode } from '@carillon/contracts';

/** How long a provider that asks for a pause without saying how long is left alone, ms: FCM's own advice. */
const DEFAULT_PAUSE_MS = 60_000;
/** How long an accepted message vouches for our credentials, ms. */
const PROOF_MS = 3_600_000;

/**
 * Whether our credentials have been accepted lately. If so, a refusal that names one device is about that device: a token of another project or
 * a subscription made with another key, which anybody can register, must not stop everybody's messages.
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

/** A message that was answered with a refusal; the headers may ask for a pause. See `failed` for what may be `said`. */
export function refused(code: ErrorCode, said: string, headers: Readonly<Record<string, unknown>> | undefined): Sent {
  return failed(code, said, retryAfterOf(headers) ?? (code === 'PROVIDER_LIMITED' ? DEFAULT_PAUSE_MS : undefined));
}
