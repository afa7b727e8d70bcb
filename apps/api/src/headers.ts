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

/** What answers have that reach no route, and so no hook. */
export const BARE_HEADERS = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' };
