import { failed, retryAfterOf, type Sent } from '@carillon/channel';
import type { ErrorCode } from '@carillon/contracts';

/** How long a provider that asks for a pause without saying how long is left alone, ms: FCM's own advice. */
const DEFAULT_PAUSE_MS = 60_000;

/** A message that was answered with a refusal; the headers may ask for a pause. See `failed` for what may be `said`. */
export function refused(code: ErrorCode, said: string, headers: Readonly<Record<string, unknown>> | undefined): Sent {
  return failed(code, said, retryAfterOf(headers) ?? (code === 'PROVIDER_LIMITED' ? DEFAULT_PAUSE_MS : undefined));
}
