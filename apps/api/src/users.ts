import { CarillonError } from '@carillon/contracts';
import { knownId } from './notifications.js';
import type { ApiParts } from './parts.js';
import {
  inboxPageSchema,
  inboxQuerySchema,
  nothing,
  tokenRequestSchema,
  tokenSchema,
  unreadCountSchema,
  userNotificationParams,
  userParams,
} from './schemas.js';
import type { Server } from './validation.js';

const tags = ['users'];

/** One user's inbox, and the tokens with which a user's client connects. */
export function userRoutes(
  server: Server,
  parts: Pick<ApiParts, 'inbox' | 'markAsRead' | 'markAllAsRead' | 'issueToken' | 'socketUrl'>,
): void {
  const { inbox, markAsRead, markAllAsRead, issueToken, socketUrl } = parts;

  server.get(
    '/v1/users/:userId/notifications',
    {
      config: { access: 'read', action: 'inbox.viewed' },
      schema: {
        tags,
        summary: 'Notifications of an inbox, newest first; by `limit` and `offset`, or by `cursor`',
        params: userParams,
        querystring: inboxQuerySchema,
        response: { 200: inboxPageSchema },
      },
    },
    async (request) => {
      const { limit, offset, cursor } = request.query;
      const position = { ...(offset !== undefined && { offset }), ...(cursor !== undefined && { cursor }) };
      const page = await inbox.page(request.params.userId, { limit, ...position });
      request.concerns = { ids: page.data.map(({ id }) => id) };
      return { data: page.data, nextCursor: page.nextCursor ?? null, unreadCount: page.unreadCount };
    },
  );

  server.get(
    '/v1/users/:userId/unread-count',
    {
      config: { access: 'read', action: 'inbox.viewed' },
      schema: { tags, summary: 'Unread notifications of an inbox', params: userParams, response: { 200: unreadCountSchema } },
    },
    async (request) => ({ unreadCount: (await inbox.head(request.params.userId)).unreadCount }),
  );

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
    '/v1/users/:userId/notifications/read-all',
    {
      config: { access: 'send', action: 'inbox.changed' },
      schema: { tags, summary: 'Mark all notifications as read', params: userParams, response: { 204: nothing } },
    },
    async (request, reply) => {
      await markAllAsRead(request.params.userId);
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
