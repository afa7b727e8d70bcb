import { z } from 'zod';
import { type Whose, wishRoutes } from './directory.js';
import { inboxRoutes } from './inbox.js';
import type { ApiParts } from './parts.js';
import type { Server } from './validation.js';

/** What a user's own client may ask, for that user alone: by client token. */
export function ownRoutes(server: Server, parts: Pick<ApiParts, 'directory' | 'inbox' | 'markAllAsRead'>): void {
  const own: Whose = {
    path: '/v1/me',
    params: z.object({}),
    access: { read: 'token', write: 'token' },
    schema: { tags: ['me'], security: [{ clientToken: [] }] },
    userOf: ({ actor }) => actor.name,
  };
  inboxRoutes(server, parts, own);
  wishRoutes(server, parts.directory, own);
}
