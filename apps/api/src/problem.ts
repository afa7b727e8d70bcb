import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { CarillonError, type ErrorCode, errorCatalogue } from '@carillon/contracts';
import type { Log } from '@carillon/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BARE_HEADERS } from './headers.js';

/** The HTTP status (RFC 9110) of each error. */
export const statusOf: Record<ErrorCode, number> = {
  FIELD_INVALID: 400,
  UNSUPPORTED_MEDIA_TYPE: 415,
  PAYLOAD_TOO_LARGE: 413,
  TEMPLATE_NOT_FOUND: 404,
  TEMPLATE_INVALID: 400,
  TEMPLATE_DATA_MISSING: 400,
  TEMPLATE_DATA_INVALID: 400,
  NOTIFICATION_NOT_FOUND: 404,
  USER_NOT_FOUND: 404,
  DEVICE_NOT_FOUND: 404,
  SUPPRESSION_NOT_FOUND: 404,
  PARTIAL_NOT_FOUND: 404,
  ERASURE_NOT_FOUND: 404,
  ROUTE_NOT_FOUND: 404,
  IDEMPOTENCY_MISMATCH: 422,
  QUEUE_UNAVAILABLE: 503,
  QUEUE_OUTCOME_UNKNOWN: 503,
  QUEUE_FULL: 503,
  REDIS_UNAVAILABLE: 503,
  PROVIDER_UNAVAILABLE: 503,
  PROVIDER_LIMITED: 503,
  PROVIDER_REFUSED: 502,
  PROVIDER_MISCONFIGURED: 503,
  PROVIDER_OUTCOME_UNKNOWN: 504,
  OUTCOME_AWAITED: 503,
  OUTCOME_UNKNOWN: 500,
  ADDRESS_UNREACHABLE: 502,
  CHANNEL_HELD: 503,
  CHANNEL_LIMITED: 503,
  CONTENT_TOO_LARGE: 400,
  JOB_LOST: 500,
  SIGNATURE_INVALID: 401,
  LINK_INVALID: 404,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  CONNECTION_LIMIT: 429,
  RATE_LIMITED: 429,
  TOKEN_INVALID: 401,
  TOKEN_EXPIRED: 401,
  TOKEN_REVOKED: 401,
  TOKEN_KEYS_UNAVAILABLE: 503,
  TOKENS_NOT_CONFIGURED: 501,
  NOT_AUTHENTICATED: 401,
  BAD_MESSAGE: 400,
  JOB_UNREADABLE: 500,
  JOB_CRASHED_WORKER: 500,
  RENDER_FAILED: 500,
  SEAL_BROKEN: 500,
  KEY_STORE_UNAVAILABLE: 503,
  PERSON_ERASED: 410,
  ERASURE_UNDER_WAY: 409,
  PII_DETECTED: 400,
  AUDIT_UNAVAILABLE: 503,
  CONFIGURATION_INVALID: 500,
  SERVICE_CLOSED: 503,
  INTERNAL: 500,
};

/** The media type of a problem (RFC 9457). */
export const PROBLEM_TYPE = 'application/problem+json';
/** Milliseconds after which a caller may try again when the error does not say: Redis is back or a replacement elected within seconds. */
const RETRY_DEFAULT = 1000;

/** Problem details (RFC 9457) with the code of our catalogue. */
export interface Problem {
  /** Where the code is explained, relative to this installation. */
  readonly type: string;
  /** The catalogue's sentence. */
  readonly title: string;
  readonly status: number;
  /** What is wrong with this request. */
  readonly detail: string;
  readonly code: ErrorCode;
  readonly field?: string | undefined;
  /** The notification concerned. */
  readonly id?: string | undefined;
}

/** What a caller may be told: of faults on our side, and of what is not there, no more than the catalogue's sentence. A message may name what was asked for. */
export function detailOf(error: CarillonError): string {
  const status = statusOf[error.code];
  return status >= 500 || status === 404 ? errorCatalogue[error.code][1] : error.message;
}

/** An error as problem details. */
export function toProblem(error: CarillonError, status = statusOf[error.code]): Problem {
  return {
    type: `/docs/errors#${anchorOf(error.code)}`,
    title: errorCatalogue[error.code][1],
    status,
    detail: detailOf(error),
    code: error.code,
    ...(error.field !== undefined && { field: error.field }),
    ...(error.id !== undefined && { id: error.id }),
  };
}

/** Seconds for a `Retry-After` header (RFC 9110 §10.2.3), rounded up; undefined if trying again is of no use. */
export function retryAfterSeconds(error: CarillonError, status: number): number | undefined {
  if (error.retryAfter === undefined && status !== 503) return undefined;
  return Math.max(1, Math.ceil((error.retryAfter ?? RETRY_DEFAULT) / 1000));
}

/** What fastify says about a request it could not read, in our terms. */
interface RequestFault {
  readonly error: CarillonError;
  readonly status: number;
}

/** Any thrown value as an error of the catalogue with its status. Faults fastify and its plugins found in a request keep their status. */
export function toFault(thrown: unknown): RequestFault {
  if (thrown instanceof CarillonError) return { error: thrown, status: statusOf[thrown.code] };
  const { code, statusCode } = (thrown ?? {}) as { code?: unknown; statusCode?: unknown };
  const status = typeof statusCode === 'number' ? statusCode : 500;
  if (status < 400 || status > 499) return fault('INTERNAL', 500, { cause: thrown });
  if (status === 413) return fault('PAYLOAD_TOO_LARGE', 413, {});
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return fault('UNSUPPORTED_MEDIA_TYPE', 415, { field: 'content-type', message: 'content-type: must be application/json' });
  }
  if (code === 'FST_ERR_BAD_URL') return fault('FIELD_INVALID', 400, { message: 'the path is not a valid percent-encoded URL' });
  return fault('FIELD_INVALID', status, { message: (status !== 400 && STATUS_CODES[status]) || 'the body is not valid JSON' });
}

function fault(code: ErrorCode, status: number, detail: ConstructorParameters<typeof CarillonError>[1]): RequestFault {
  return { error: new CarillonError(code, detail), status };
}

/** Logs what is a fault of ours. The pattern of the route, not its path: ids of users do not go into logs. */
export function logFault(log: Log, error: unknown, { id, method, routeOptions }: FastifyRequest): void {
  if (toFault(error).status === 500) log.error('request failed', { error, requestId: id, method, route: routeOptions.url });
}

/** Answers with a problem and the headers that belong to its status. */
export function sendProblem(thrown: unknown, reply: FastifyReply): FastifyReply {
  const { error, status } = toFault(thrown);
  reply.request.failure = error.code;
  const retryAfter = retryAfterSeconds(error, status);
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
  // RFC 9110 §15.5.2: a 401 names how to authenticate.
  if (status === 401 && !reply.hasHeader('www-authenticate')) reply.header('www-authenticate', 'Bearer');
  return reply.code(status).type(PROBLEM_TYPE).serializer(JSON.stringify).send(toProblem(error, status));
}

/** Answers on the bare socket what is no HTTP request, and so reaches no route: a problem all the same. */
export function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  const message = status === 400 ? 'the request is not valid HTTP' : (STATUS_CODES[status] as string);
  const body = JSON.stringify(toProblem(new CarillonError('FIELD_INVALID', { message }), status));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    ...Object.entries(BARE_HEADERS).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** A code as the name of its place on the page of errors. */
export function anchorOf(code: string): string {
  return code.toLowerCase().replaceAll('_', '-');
}
