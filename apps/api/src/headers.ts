import cors, { type FastifyCorsOptions } from '@fastify/cors';
import helmet from '@fastify/helmet';
import type { ApiParts } from './parts.js';
import type { Server } from './validation.js';

/** Seconds for which browsers come by https only: a year. Other names under the same domain are not ours to decide about. */
const HTTPS_ONLY_SECONDS = 365 * 24 * 3600;

/**
 * Headers of every answer: nothing is guessed, framed, kept or told to other sites; an answer that is opened as a page loads and runs nothing.
 * Pages that need more say so themselves. Browsers are told to stay with https only by who is reached by it.
 */
export function protect(server: Server, { publicUrl }: Pick<ApiParts, 'publicUrl'>): void {
  server.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"] },
    },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
    // Said below, where it is so.
    strictTransportSecurity: false,
    // These are for old browsers and for what is not here; each costs every answer about a microsecond.
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xPoweredBy: false,
    xXssProtection: false,
  });
  server.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    reply.header('cache-control', 'no-store');
    const outside = typeof publicUrl === 'string' ? publicUrl : publicUrl();
    if (request.protocol === 'https' || outside.startsWith('https:')) {
      reply.header('strict-transport-security', `max-age=${HTTPS_ONLY_SECONDS}`);
    }
  });
}

/** Seconds for which browsers remember that they may call: what Chrome remembers at most. */
const PREFLIGHT_SECONDS = 2 * 3600;

/** What a page of another origin may do with a client token; never with a session or a key. */
const OWN_ROUTES: FastifyCorsOptions = {
  methods: ['GET', 'PUT', 'PATCH', 'POST', 'DELETE'],
  allowedHeaders: ['Authorization', 'Content-Type'],
  exposedHeaders: ['RateLimit', 'RateLimit-Policy', 'Retry-After', 'X-Request-Id'],
  maxAge: PREFLIGHT_SECONDS,
  credentials: false,
};

/**
 * Lets the pages of some origins call `/v1/me/*`, and nothing else (CORS). It stands before the doors: a preflight brings no token, and a page has to
 * be able to read why a token was refused.
 */
export function openToOrigins(server: Server, { allowedOrigins, publicUrl }: Pick<ApiParts, 'allowedOrigins' | 'publicUrl'>): void {
  if (allowedOrigins === undefined) return;
  const isAllowed = (origin: string) =>
    allowedOrigins.includes(origin) || origin === new URL(typeof publicUrl === 'string' ? publicUrl : publicUrl()).origin;
  // The route for preflights is the library's own.
  server.addHook('onRoute', (route) => {
    if (route.method === 'OPTIONS' && route.url === '*') route.config = { ...route.config, access: 'anybody', action: 'none' };
  });
  server.register(cors, {
    delegator: ({ url, headers: { origin } }, answer) => {
      const isOpen = origin !== undefined && url.startsWith('/v1/me/') && isAllowed(origin);
      answer(null, isOpen ? { ...OWN_ROUTES, origin } : { origin: false });
    },
  });
}

/** What answers have that reach no route, and so no hook. */
export const BARE_HEADERS = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' };
