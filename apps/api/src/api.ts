import { randomUUID } from 'node:crypto';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CarillonError } from '@carillon/contracts';
import type { Tls, TrustProxy } from '@carillon/service';
import cookie from '@fastify/cookie';
import swagger from '@fastify/swagger';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifySchema } from 'fastify';
import { adminArea } from './admin.js';
import { createSessions, type Sessions } from './admin-session.js';
import { auditRoutes } from './audit-trail.js';
import { deadLetterRoutes } from './dead-letters.js';
import { directoryRoutes } from './directory.js';
import { docsRoutes } from './docs.js';
import { createGate, type Gate, guard } from './guard.js';
import { BARE_HEADERS, openToOrigins, protect } from './headers.js';
import { ownRoutes } from './me.js';
import { notificationRoutes } from './notifications.js';
import { openRoutes, operatorRoutes } from './operations.js';
import type { ApiParts } from './parts.js';
import { peopleRoutes } from './people.js';
import { type Policy, type Route, requirePolicies, scopesFor } from './policy.js';
import { logFault, PROBLEM_TYPE, refuseUnreadable, sendProblem } from './problem.js';
import { providerRoutes } from './provider-events.js';
import { problemSchema, toOpenApi } from './schemas.js';
import { pageRoutes } from './static-page.js';
import { templateRoutes } from './templates.js';
import { timelineRoutes } from './timeline.js';
import { trail } from './trail.js';
import { unsubscribeRoutes } from './unsubscribe.js';
import { userRoutes } from './users.js';
import { checked, type Server } from './validation.js';

/** Characters a path parameter may have: a user id of 256, each up to 9 once percent-encoded. */
const PARAMETER_MAX = 256 * 9;

export interface ApiOptions {
  /** Port to listen on; 0 takes any free one. */
  readonly port: number;
  /** Address to listen on; every IPv4 one unless told. */
  readonly host?: string;
  /** Certificate and key of `https`; without them it is `http`, for a proxy in front. */
  readonly tls?: Tls | undefined;
  /** Whose `X-Forwarded-For` and `-Proto` are believed; nobody's unless told. */
  readonly trustProxy?: TrustProxy | undefined;
}

/** The HTTP interface. */
export interface Api {
  /** Listens. @throws CONFIGURATION_INVALID if the port cannot be had. */
  listen(): Promise<{ port: number; url: string }>;
  /** Every route, who may use it and how that is audited. */
  routes(): Promise<readonly Route[]>;
  /** Answers a request without a socket, for tests. */
  readonly inject: FastifyInstance['inject'];
  /** Takes no more requests, finishes those under way. Called again, it gives the same promise. */
  close(): Promise<void>;
}

/** The HTTP interface over `parts`. It owns none of them. Close it when done. */
export function createApi(parts: ApiParts, options: ApiOptions): Api {
  const { tls } = options;
  const server = fastify({
    https: tls ? { ...tls.credentials } : null,
    trustProxy: trustOf(options.trustProxy),
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: PARAMETER_MAX },
    requestIdHeader: false,
    genReqId: ({ headers }) => givenId(headers['x-request-id']) ?? randomUUID(),
    clientErrorHandler: refuseUnreadable,
    frameworkErrors: (error, _request, reply) => sendProblem(error, reply.headers(BARE_HEADERS)),
  }).withTypeProvider() as Server;
  tls?.onChange((credentials) => (server.server as TlsServer).setSecureContext(credentials));
  const routes = assemble(server, parts);

  let closed: Promise<void> | undefined;
  return {
    async listen() {
      await listen(server, options);
      const { port } = server.server.address() as AddressInfo;
      return { port, url: `${tls ? 'https' : 'http'}://localhost:${port}` };
    },
    async routes() {
      await server.ready();
      return routes();
    },
    inject: server.inject.bind(server),
    close() {
      closed ??= server.close();
      return closed;
    },
  };
}

/** Hops are counted here: fastify takes a number for nobody, since whoever comes past the proxy would be believed too. That is for who runs it to prevent. */
function trustOf(trustProxy: TrustProxy = false): boolean | string[] | ((address: string, hop: number) => boolean) {
  if (typeof trustProxy === 'number') return (_address, hop) => hop < trustProxy;
  return typeof trustProxy === 'boolean' ? trustProxy : [...trustProxy];
}

async function listen(server: Server, { port, host = '0.0.0.0' }: ApiOptions): Promise<void> {
  try {
    await server.listen({ port, host });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') throw error;
    throw new CarillonError('CONFIGURATION_INVALID', {
      message: `NOTIFICATION_HTTP_PORT: port ${port} cannot be used (${code})`,
      cause: error,
    });
  }
}

function assemble(server: Server, parts: ApiParts): () => readonly Route[] {
  server.setValidatorCompiler(checked);
  // Answers are our own shapes; the schemas describe them.
  server.setSerializerCompiler(() => JSON.stringify);
  acceptEmptyJson(server);
  server.setErrorHandler((error, request, reply) => {
    logFault(parts.log, error, request);
    return sendProblem(error, reply);
  });
  server.setNotFoundHandler((_request: FastifyRequest, reply: FastifyReply) => sendProblem(new CarillonError('ROUTE_NOT_FOUND'), reply));

  const routes = requirePolicies(server);
  describe(server);
  protect(server, parts);
  openToOrigins(server, parts);
  server.register(cookie);
  // Hooks run in the order in which they were added: after the headers, so that a refusal has them too.
  server.after(() => {
    const gate = createGate(parts);
    const sessions = createSessions(parts, gate);
    guard(server, gate, sessions, parts);
    trail(server, parts.audit);
    addRoutes(server, parts, gate, sessions);
  });
  return routes;
}

function addRoutes(server: Server, parts: ApiParts, gate: Gate, sessions: Sessions): void {
  openRoutes(server, parts);
  notificationRoutes(server, parts, gate);
  templateRoutes(server, parts);
  userRoutes(server, parts);
  directoryRoutes(server, parts);
  peopleRoutes(server, parts);
  ownRoutes(server, parts);
  deadLetterRoutes(server, parts);
  timelineRoutes(server, parts);
  auditRoutes(server, parts);
  operatorRoutes(server, parts);
  docsRoutes(server);
  server.register(async (pages) => pageRoutes(pages as Server, parts));
  server.register(async (providers) => providerRoutes(providers as Server, parts));
  server.register(async (links) => unsubscribeRoutes(links as Server, parts));
  server.register(async (admin) => adminArea(admin as Server, parts, gate, sessions));
}

/** An id a caller gave its request, if it is fit for headers and logs. */
function givenId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header) ? header : undefined;
}

/** Many clients name JSON as the content type of every request, also of those without a body. */
function acceptEmptyJson(server: Server): void {
  const parseJson = server.getDefaultJsonParser('error', 'error');
  server.removeContentTypeParser(['application/json', 'text/plain']);
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else parseJson(request, body as string, done);
  });
}

/** `/openapi.json`, made from the schemas of the routes. */
function describe(server: Server): void {
  server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Carillon', description: 'Queue notifications, register templates, read inboxes.', version: '1' },
      components: {
        securitySchemes: {
          apiKey: { type: 'http', scheme: 'bearer', description: 'An API key' },
          clientToken: { type: 'http', scheme: 'bearer', description: 'A client token, from `POST /v1/tokens` or your own' },
        },
      },
      security: [{ apiKey: [] }],
    },
    transform: (given) => toOpenApi({ ...given, schema: withProblem(given.schema, given.route.config) }),
  });
}

/** Every route may answer with a problem, and most need scopes. */
function withProblem(schema: FastifySchema | undefined, { access }: Partial<Policy> = {}): FastifySchema {
  if (!schema) return { hide: true } as FastifySchema;
  const problem = { description: 'A problem', content: { [PROBLEM_TYPE]: { schema: problemSchema } } };
  const scopes = scopesFor(access).map((scope) => `\`${scope}\``);
  const needs = scopes.length > 0 && {
    description: `Needs an API key with the scope${scopes.length > 1 ? 's' : ''} ${scopes.join(' and ')}.`,
  };
  return { ...schema, ...needs, response: { ...(schema.response as object), default: problem } };
}
