import { CarillonError } from '@carillon/contracts';
import type { FastifyRequest } from 'fastify';
import type { ApiParts } from './parts.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Name of the API key the request came with. */
    caller: string;
  }
}

/** The bearer token of a request (RFC 6750 §2.1; the scheme's case does not matter). */
export function bearerOf(request: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
}

/** A hook that lets requests with an API key pass. @throws UNAUTHORIZED */
export function requireKey({ apiKeys, metrics }: Pick<ApiParts, 'apiKeys' | 'metrics'>) {
  return async (request: FastifyRequest): Promise<void> => {
    const bearer = bearerOf(request);
    const key = bearer === undefined ? undefined : apiKeys.find(bearer);
    if (!key) {
      metrics.authenticationFailed('http', 'UNAUTHORIZED');
      throw new CarillonError('UNAUTHORIZED');
    }
    request.caller = key.name;
  };
}
