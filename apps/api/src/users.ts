import { CarillonError } from '@carillon/contracts';
import { inboxRoutes } from './inbox.js';
import { knownId } from './notifications.js';
import type { ApiParts } from './parts.js';
import { nothing, tokenRequestSchema, tokenSchema, userNotificationParams, userParams } from './schemas.js';
import type { Server } from './validation.js';

const tags = ['users'];

/** Users' inboxes, and the tokens with which a user's client connects. */
export function userRoutes(
  server: Server,
  parts: Pick<ApiParts, 'inbox' | 'markAsRead' | 'markAllAsRead' | 'issueToken' | 'socketUrl'>,
): void {
  const { markAsRead, issueToken, socketUrl } = parts;
  inboxRoutes(server, parts, {
    path: '/v1/users/:userId',
    params: userParams,
    access: { read: 'read', write: 'send' },
    schema: { tags },
    userOf: ({ params }) => (params as { userId: string }).userId,
  });

  server.post(
    '/v1/users/:userId/notifications/:id/read',
    {
      config: { access: 'send', action: 'inbox.changed' },
      schema: { tags, summary: 'Mark a notification as read', params: userNotificationParams, response: { 204: nothing } },
    },
    async (request, reply) => {
      await markAsRead(request.params.userId, knownId(request.params.id));
      return reply.code(204).send(null);
    },
  );

  server.post(
    '/v1/tokens',
    {
      // A token reads an inbox and changes what its user wishes: who has one may both.
      config: { access: ['send', 'read'], action: 'token.issued' },
      schema: { tags, summary: 'A token with which a user’s client connects', body: tokenRequestSchema, response: { 200: tokenSchema } },
    },
    async (request) => {
      if (!issueToken) throw new CarillonError('TOKENS_NOT_CONFIGURED');
      request.concerns = { users: [request.body.userId] };
      const { token, expiresAt } = await issueToken(request.body.userId, request.body.ttlSeconds);
      return { token, expiresAt, url: typeof socketUrl === 'string' ? socketUrl : socketUrl() };
    },
  );
}
