import { CarillonError, toCarillonError } from '@carillon/contracts';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { wishRoutes } from './directory.js';
import { bearerOf } from './keys.js';
import type { ApiParts } from './parts.js';
import type { Server } from './validation.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The user whose client token the request came with. */
    userId: string;
  }
}

type Parts = Pick<ApiParts, 'directory' | 'verifyToken' | 'metrics'>;

/** What a user's own client may ask, for that user alone: by client token. */
export function ownRoutes(server: Server, parts: Parts): void {
  server.decorateRequest('userId', '');
  server.addHook('onRequest', requireToken(parts));
  wishRoutes(server, parts.directory, {
    path: '/v1/me',
    params: z.object({}),
    schema: { tags: ['me'], security: [{ clientToken: [] }] },
    userOf: ({ userId }) => userId,
  });
}

/** A hook that lets requests with a client token pass. @throws TOKEN_INVALID, TOKEN_EXPIRED */
function requireToken({ verifyToken, metrics }: Parts) {
  return async (request: FastifyRequest): Promise<void> => {
    try {
      const token = bearerOf(request);
      if (token === undefined) throw new CarillonError('TOKEN_INVALID', { message: 'The client token is missing.' });
      request.userId = (await verifyToken(token)).userId;
    } catch (error) {
      metrics.authenticationFailed('me', toCarillonError(error).code);
      throw error;
    }
  };
}
