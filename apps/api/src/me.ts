import { z } from 'zod';
import { wishRoutes } from './directory.js';
import type { ApiParts } from './parts.js';
import type { Server } from './validation.js';

/** What a user's own client may ask, for that user alone: by client token. */
export function ownRoutes(server: Server, { directory }: Pick<ApiParts, 'directory'>): void {
  wishRoutes(server, directory, {
    path: '/v1/me',
    params: z.object({}),
    access: { read: 'token', write: 'token' },
    schema: { tags: ['me'], security: [{ clientToken: [] }] },
    userOf: ({ actor }) => actor.name,
  });
}
