import type { Audit, AuditEvent } from '@carillon/audit';
import { CarillonError, type ErrorCode, userIdSchema } from '@carillon/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isShowing } from './policy.js';
import { toFault } from './problem.js';
import { createStrangers } from './strangers.js';
import type { Server } from './validation.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the request failed with, if it did. */
    failure?: ErrorCode;
    /** What a handler knows of whom and what the request concerns, besides the parameters of its path. */
    concerns?: Concerns;
  }
}

/** Of whom and what a request is. Never an address. */
export interface Concerns {
  readonly ids?: readonly string[];
  readonly users?: readonly string[];
  /** The queue looked at. */
  readonly queue?: string;
}

/** Faults by which somebody was kept out. */
const REFUSALS = new Set<ErrorCode>([
  'UNAUTHORIZED',
  'FORBIDDEN',
  'RATE_LIMITED',
  'TOKEN_INVALID',
  'TOKEN_EXPIRED',
  'TOKEN_REVOKED',
  'SIGNATURE_INVALID',
  'LINK_INVALID',
]);

/** Parameters of paths that are ids of things. */
const IDS = ['id', 'deviceId', 'jobId'] as const;

/** Codes for what the queue board answers by itself, by a status alone. */
const CODE_OF: Readonly<Record<number, ErrorCode>> = { 400: 'FIELD_INVALID', 404: 'ROUTE_NOT_FOUND', 405: 'FORBIDDEN', 403: 'FORBIDDEN' };

/**
 * Writes one record for each request to a route whose policy names an action. Of what shows something, the record is kept before the answer
 * leaves: if it cannot be, the answer is AUDIT_UNAVAILABLE. What fails of who has proven nothing is counted: see `Strangers`.
 */
export function trail(server: Server, audit: Audit): void {
  const strangers = createStrangers(audit);
  // After the last answer has left.
  server.addHook('onClose', async () => strangers.close());
  server.addHook('onError', async (request, _reply, error) => {
    request.failure = toFault(error).error.code;
  });
  server.addHook('onSend', async (request, reply) => {
    const event = eventOf(request, reply);
    if (!event) return;
    if (event.outcome !== 'ok' && event.actor.type === 'anybody') return strangers.failed(event);
    if (event.outcome !== 'ok' || !isShowing(request.routeOptions.config)) return audit.note(event);
    await audit.keep(event).catch((cause) => {
      request.failure = 'AUDIT_UNAVAILABLE';
      throw new CarillonError('AUDIT_UNAVAILABLE', { cause });
    });
  });
}

function eventOf(request: FastifyRequest, reply: FastifyReply): AuditEvent | undefined {
  const { action, auditedBelow } = request.routeOptions.config;
  if (action === undefined || action === 'none') return undefined;
  const outcome = outcomeOf(request, reply);
  if (outcome === 'ok' && auditedBelow) return undefined;
  return {
    actor: request.actor,
    action: outcome !== 'ok' && REFUSALS.has(outcome) ? 'access.refused' : action,
    outcome,
    ...concernsOf(request, outcome),
  };
}

/** Of what failed no ids: they may be any text. */
function concernsOf(request: FastifyRequest, outcome: 'ok' | ErrorCode): Pick<AuditEvent, 'ids' | 'users' | 'about'> {
  const { actor, concerns = {}, method, routeOptions } = request;
  const about = { route: `${method} ${routeOptions.url}`, ...(concerns.queue !== undefined && { queue: concerns.queue }) };
  const params = (request.params ?? {}) as Readonly<Record<string, string | undefined>>;
  const named = userIdSchema.safeParse(actor.type === 'user' ? actor.name : params.userId);
  const users = [...(named.success ? [named.data] : []), ...(concerns.users ?? [])];
  const ids = outcome === 'ok' ? [...IDS.flatMap((name) => params[name] ?? []), ...(concerns.ids ?? [])] : [];
  return { about, ...(ids.length > 0 && { ids: [...new Set(ids)] }), ...(users.length > 0 && { users: [...new Set(users)] }) };
}

function outcomeOf({ failure }: FastifyRequest, { statusCode }: FastifyReply): 'ok' | ErrorCode {
  if (failure !== undefined) return failure;
  return statusCode < 400 ? 'ok' : (CODE_OF[statusCode] ?? 'INTERNAL');
}
