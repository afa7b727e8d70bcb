/**
 * The one catalogue of errors. A code is stable for ever; the message is for people and may change.
 *
 * The verdict says what a caller or a worker may do about it:
 * `retry` (may succeed unchanged), `retry-after` (may succeed, not before `retryAfter` ms), `never` (the same request fails again).
 */
export const errorCatalogue = {
  FIELD_INVALID: ['never', 'A field is missing, unknown or has a value it cannot have; `field` names it.'],
  PAYLOAD_TOO_LARGE: ['never', 'The request or frame is larger than allowed.'],
  UNSUPPORTED_MEDIA_TYPE: ['never', 'The body of the request is not of a type that is read here; send JSON.'],
  TEMPLATE_NOT_FOUND: ['never', 'No template is registered under this id.'],
  TEMPLATE_INVALID: ['never', 'The template cannot be registered; `field` names the part that is wrong.'],
  TEMPLATE_DATA_MISSING: ['never', 'The template has a tag for which the request supplies no value; `field` names it.'],
  TEMPLATE_DATA_INVALID: ['never', 'A value may not appear where the template puts it; `field` names it.'],
  NOTIFICATION_NOT_FOUND: ['never', 'No notification with this id is known here (for this user).'],
  USER_NOT_FOUND: ['never', 'No profile of this user is stored here.'],
  DEVICE_NOT_FOUND: ['never', 'This user has no device with this id.'],
  SUPPRESSION_NOT_FOUND: ['never', 'The address of this user on this channel is not suppressed.'],
  PARTIAL_NOT_FOUND: ['never', 'No partial is registered under this id.'],
  ERASURE_NOT_FOUND: ['never', 'No erasure with this id is known here.'],
  ROUTE_NOT_FOUND: ['never', 'The HTTP interface has no such route.'],
  IDEMPOTENCY_MISMATCH: ['never', 'The idempotency key was used before with another request.'],
  QUEUE_UNAVAILABLE: ['retry', 'Redis cannot be reached; the notification was not queued.'],
  QUEUE_OUTCOME_UNKNOWN: ['retry', 'Redis may have taken the notification, its answer was lost; `id` names it.'],
  QUEUE_FULL: ['retry-after', 'Redis has no memory left, or too many requests wait in this process; nothing was queued.'],
  REDIS_UNAVAILABLE: ['retry', 'Redis cannot be reached or does not answer.'],
  PROVIDER_UNAVAILABLE: ['retry', 'The provider cannot take the message now; it was not sent.'],
  PROVIDER_LIMITED: ['retry-after', 'The provider, or one mailbox or device behind it, asks for a pause; the message was not sent.'],
  PROVIDER_REFUSED: ['never', 'The provider refuses this message; it was not sent.'],
  PROVIDER_MISCONFIGURED: ['retry-after', 'The provider refuses our credentials or settings; it is paused and the message was not sent.'],
  PROVIDER_OUTCOME_UNKNOWN: ['retry', 'The message was handed over and no answer came; it may have been sent.'],
  OUTCOME_AWAITED: ['retry-after', 'A try was made whose outcome is not known yet; the delivery waits for it at no cost.'],
  OUTCOME_UNKNOWN: [
    'never',
    'Nobody knows whether the message was sent, and the template says to leave it at that; trying again is a decision of yours.',
  ],
  ADDRESS_UNREACHABLE: ['never', 'The provider says that the address does not exist or takes nothing from us.'],
  CHANNEL_HELD: ['retry-after', 'No provider of the channel is available; the delivery waits at no cost.'],
  CHANNEL_LIMITED: ['retry-after', 'The rate set for the channel is reached; the delivery waits at no cost.'],
  CONTENT_TOO_LARGE: ['never', 'The rendered message is larger than the channel carries.'],
  JOB_LOST: ['never', 'A delivery was open, and no job for it is in any queue: Redis lost it, or somebody removed it.'],
  SIGNATURE_INVALID: ['never', 'What claims to come from a provider is not signed by it, or too old.'],
  LINK_INVALID: ['never', 'The link was not made here or was altered.'],
  UNAUTHORIZED: ['never', 'The API key is missing or wrong.'],
  FORBIDDEN: ['never', 'The API key is good, and not allowed to do this; `field` names the scope it lacks.'],
  CONNECTION_LIMIT: ['never', 'This user has as many connections open as one user may.'],
  RATE_LIMITED: ['retry-after', 'Too many requests; come back after the pause that is named.'],
  TOKEN_INVALID: ['never', 'The client token is missing, malformed, wrongly signed or for another user.'],
  TOKEN_EXPIRED: ['never', 'The client token has expired; come back with a new one.'],
  TOKEN_REVOKED: ['never', 'The client token was revoked; come back with one that was issued since.'],
  TOKEN_KEYS_UNAVAILABLE: ['retry', 'The public keys of the token issuer cannot be fetched, so the client token could not be checked.'],
  TOKENS_NOT_CONFIGURED: ['never', 'This installation has no secret to sign client tokens with.'],
  NOT_AUTHENTICATED: ['never', 'The first frame of a connection must authenticate it.'],
  BAD_MESSAGE: ['never', 'The frame is not a JSON object with a known `type`.'],
  JOB_UNREADABLE: ['never', 'A queued job cannot be opened or does not have the shape of a job.'],
  JOB_CRASHED_WORKER: ['never', 'The process working on this job died each time it was tried.'],
  RENDER_FAILED: ['never', 'The template could not be rendered with the data queued for it.'],
  SEAL_BROKEN: ['never', 'Sealed bytes were altered, moved to another owner, or sealed with a key that is not configured.'],
  KEY_STORE_UNAVAILABLE: ['retry', 'The store of the data keys cannot be reached; nothing was sealed or opened.'],
  PERSON_ERASED: ['never', 'The person was erased, and with them the key this was sealed with.'],
  ERASURE_UNDER_WAY: ['retry-after', 'The person is being erased; they can be told of again in a minute.'],
  PII_DETECTED: ['never', 'The rendered message holds personal data that has no business there, and the policy is to block it.'],
  AUDIT_UNAVAILABLE: ['retry', 'The audit record cannot be kept, so what it would tell of was not shown; a change may have been made.'],
  CONFIGURATION_INVALID: ['never', 'One or more settings are missing or wrong; the message lists all of them.'],
  SERVICE_CLOSED: ['never', 'The service was closed and takes nothing more.'],
  INTERNAL: ['retry', 'A failure without a code of its own: a bug or an unknown fault underneath.'],
} as const satisfies Record<string, readonly ['retry' | 'retry-after' | 'never', string]>;

/** A code of the catalogue. */
export type ErrorCode = keyof typeof errorCatalogue;
/** What may be done about an error. */
export type Verdict = 'retry' | 'retry-after' | 'never';

/** What an error may carry besides its code. Never content of a notification: errors reach logs. */
export interface ErrorDetail {
  /** What is wrong, for people; the catalogue's sentence if absent. */
  message?: string;
  /** The field at fault as a path, e.g. `data.therapistName`. */
  field?: string;
  /** Milliseconds before which trying again is of no use. */
  retryAfter?: number;
  /** The notification concerned. */
  id?: string;
  /** What happened underneath. */
  cause?: unknown;
}

/** Every error Carillon throws on purpose. `switch` on `code`, never on the message. */
export class CarillonError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly retryAfter: number | undefined;
  readonly id: string | undefined;

  constructor(code: ErrorCode, detail: ErrorDetail = {}) {
    super(detail.message ?? errorCatalogue[code][1], detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'CarillonError';
    this.code = code;
    this.field = detail.field;
    this.retryAfter = detail.retryAfter;
    this.id = detail.id;
  }

  /** What may be done about it. */
  get verdict(): Verdict {
    return errorCatalogue[this.code][0];
  }
}

/** Any thrown value as a CarillonError; what has no code becomes `INTERNAL` with the value as its cause. */
export function toCarillonError(thrown: unknown): CarillonError {
  return thrown instanceof CarillonError ? thrown : new CarillonError('INTERNAL', { cause: thrown });
}
