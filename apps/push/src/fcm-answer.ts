import { constants } from 'node:http2';
import { failed, meaningOfStatus, type Sent } from '@carillon/channel';
import type { ErrorCode } from '@carillon/contracts';
import { refused } from './call.js';

/** What is read of an error of the SDK: never its message. */
interface SdkError {
  readonly code?: unknown;
  readonly status?: unknown;
  readonly syscall?: unknown;
  readonly request?: { readonly rstCode?: unknown };
  readonly httpResponse?: { readonly status?: number; readonly headers?: Readonly<Record<string, unknown>>; readonly data?: unknown };
  readonly response?: { readonly status?: unknown; readonly headers?: unknown };
  readonly cause?: unknown;
  readonly errors?: unknown;
}

const FCM_ERROR = 'type.googleapis.com/google.firebase.fcm.v1.FcmError';
const BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest';
/** How deep causes are followed. */
const MAX_DEPTH = 5;

/** What to do about a code of the SDK (https://firebase.google.com/docs/cloud-messaging/error-codes). */
const BY_CODE: Readonly<Record<string, ErrorCode>> = {
  'messaging/registration-token-not-registered': 'ADDRESS_UNREACHABLE',
  'messaging/installation-id-not-registered': 'ADDRESS_UNREACHABLE',
  'messaging/invalid-registration-token': 'ADDRESS_UNREACHABLE',
  'messaging/mismatched-credential': 'PROVIDER_MISCONFIGURED',
  'messaging/third-party-auth-error': 'PROVIDER_MISCONFIGURED',
  'messaging/authentication-error': 'PROVIDER_MISCONFIGURED',
  'messaging/message-rate-exceeded': 'PROVIDER_LIMITED',
  'messaging/device-message-rate-exceeded': 'PROVIDER_LIMITED',
  'messaging/topics-message-rate-exceeded': 'PROVIDER_LIMITED',
  'messaging/server-unavailable': 'PROVIDER_UNAVAILABLE',
  'messaging/internal-error': 'PROVIDER_UNAVAILABLE',
  'messaging/invalid-argument': 'PROVIDER_REFUSED',
  'messaging/invalid-payload': 'PROVIDER_REFUSED',
  'messaging/invalid-recipient': 'PROVIDER_REFUSED',
  'messaging/invalid-data-payload-key': 'PROVIDER_REFUSED',
  'messaging/invalid-options': 'PROVIDER_REFUSED',
  'messaging/invalid-package-name': 'PROVIDER_REFUSED',
  'messaging/payload-size-limit-exceeded': 'PROVIDER_REFUSED',
};

/** What became of a message the SDK did not get through. `proven`: our credentials are known to be good. */
export function fcmFailure(thrown: unknown, proven: boolean): Sent {
  const error = (thrown ?? {}) as SdkError;
  const code = String(error.code ?? 'no code');
  // No token, so nothing was sent.
  if (code === 'app/invalid-credential') return tokenFailure(error.cause);
  const { status, headers } = error.httpResponse ?? {};
  const what = `FCM: ${code}${status === undefined ? '' : ` (${status})`}`;
  return refused(verdictOf(error, code, proven), what, headers);
}

/** What a failure to get an access token means: surely nothing was sent. */
export function tokenFailure(thrown: unknown): Sent {
  const error = (thrown ?? {}) as SdkError;
  const status = Number(error.response?.status ?? error.status);
  const isOurs = status === 400 || status === 401 || status === 403;
  const what = `FCM: no access token (${status || String(error.code ?? 'no code')})`;
  return failed(isOurs ? 'PROVIDER_MISCONFIGURED' : 'PROVIDER_UNAVAILABLE', what);
}

function verdictOf(error: SdkError, code: string, proven: boolean): ErrorCode {
  if (proven && isAboutOneApp(error, code)) return 'PROVIDER_REFUSED';
  if (code === 'messaging/invalid-argument') return isAboutTheToken(error) ? 'ADDRESS_UNREACHABLE' : 'PROVIDER_REFUSED';
  const verdict = BY_CODE[code];
  // A 404 that is not FCM's word on the device is one on the project: no reason to lose a device.
  const isStrange = error.httpResponse?.status === 404 && !detailsOf(error).some(isFcmError);
  if (verdict === 'ADDRESS_UNREACHABLE' && isStrange) return 'PROVIDER_MISCONFIGURED';
  // The status speaks for answers that are not FCM's own, such as those of a gateway before it.
  const said = verdict ?? meaningOfStatus(error.httpResponse?.status ?? 0);
  return said ?? (neverLeft(error) ? 'PROVIDER_UNAVAILABLE' : 'PROVIDER_OUTCOME_UNKNOWN');
}

/** A token of another project, or an app whose certificate (APNs) or key (Web Push) FCM lacks: the others are reached all the same. */
function isAboutOneApp(error: SdkError, code: string): boolean {
  return code === 'messaging/third-party-auth-error' || detailsOf(error).some(({ errorCode }) => errorCode === 'SENDER_ID_MISMATCH');
}

interface Detail {
  readonly '@type'?: unknown;
  readonly errorCode?: unknown;
  readonly fieldViolations?: readonly { readonly field?: unknown }[];
}

const isFcmError = (detail: Detail) => detail['@type'] === FCM_ERROR;

function detailsOf({ httpResponse }: SdkError): readonly Detail[] {
  const details = (httpResponse?.data as { error?: { details?: unknown } } | undefined)?.error?.details;
  return Array.isArray(details) ? details : [];
}

/** `INVALID_ARGUMENT` as FCM says it of a token: as an `FcmError`, and not of another field. */
function isAboutTheToken(error: SdkError): boolean {
  const details = detailsOf(error);
  const fields = details.filter((detail) => detail['@type'] === BAD_REQUEST).flatMap(({ fieldViolations = [] }) => fieldViolations);
  return details.some(isFcmError) && fields.every(({ field }) => field === 'message.token' || field === 'message.fid');
}

/** Whether the connection failed before anything was sent, or FCM's HTTP/2 says that it has not looked at it. */
function neverLeft(thrown: unknown, depth = 0): boolean {
  if (typeof thrown !== 'object' || thrown === null || depth > MAX_DEPTH) return false;
  const { syscall, request, cause, errors } = thrown as SdkError;
  if (syscall === 'connect' || syscall === 'getaddrinfo' || request?.rstCode === constants.NGHTTP2_REFUSED_STREAM) return true;
  return neverLeft(cause, depth + 1) || (Array.isArray(errors) && errors.some((one) => neverLeft(one, depth + 1)));
}
