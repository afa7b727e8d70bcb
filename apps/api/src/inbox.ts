import type { InboxMark, Notification } from '@carillon/contracts';
import { z } from 'zod';
import type { Whose } from './directory.js';
import { knownId } from './notifications.js';
import type { ApiParts } from './parts.js';
import type { Policy } from './policy.js';
import { inboxPageSchema, inboxQuerySchema, marksSchema, nothing, notificationSchema, unreadCountSchema } from './schemas.js';
import type { Server } from './validation.js';

type Parts = Pick<ApiParts, 'inbox' | 'markAllAsRead'>;

/** A user's inbox: what is in it, and what can be done to it. */
export function inboxRoutes(server: Server, parts: Parts, whose: Whose): void {
  readRoutes(server, parts, whose);
  changeRoutes(server, parts, whose);
  readAllRoutes(server, parts, whose);
}

function readRoutes(server: Server, { inbox }: Parts, { path, params, access, schema, userOf }: Whose): void {
  const config: Policy = { access: access.read, action: 'inbox.viewed' };
  const common = { ...schema, params };

  server.get(
    `${path}/notifications`,
    {
      config,
      schema: {
        ...common,
        summary: 'Notifications of an inbox, newest first; by `limit` and `offset`, or by `cursor`; what narrows them is counted by both',
        querystring: inboxQuerySchema,
        response: { 200: inboxPageSchema },
      },
    },
    async (request) => {
      const page = await inbox.page(userOf(request), request.query);
      request.concerns = { ids: page.data.map(({ id }) => id) };
      return { data: page.data, nextCursor: page.nextCursor ?? null, unreadCount: page.unreadCount };
    },
  );

  server.get(
    `${path}/unread-count`,
    { config, schema: { ...common, summary: 'Unread notifications of an inbox', response: { 200: unreadCountSchema } } },
    async (request) => ({ unreadCount: (await inbox.head(userOf(request))).unreadCount }),
  );
}

function changeRoutes(server: Server, { inbox }: Parts, { path, params, access, schema, userOf }: Whose): void {
  const config: Policy = { access: access.write, action: 'inbox.changed' };
  const common = { ...schema, params: params.extend({ id: z.string() }) };
  const idOf = (request: { params: unknown }) => knownId((request.params as { id: string }).id);

  server.patch(
    `${path}/notifications/:id`,
    {
      config: { ...config, shows: true },
      schema: {
        ...common,
        summary: 'Mark a notification as seen, as read or unread, as archived or not; answers with it to who may read it',
        body: marksSchema,
        response: { 200: notificationSchema, 204: nothing },
      },
    },
    async (request, reply) => {
      const [userId, id] = [userOf(request), idOf(request)];
      let notification: Notification | undefined;
      for (const mark of marksOf(request.body)) notification = await inbox.mark(userId, id, mark);
      // A key that may only send, or who is signed in by one, would otherwise be shown what it marks.
      if (request.actor.type !== 'user' && !request.scopes.includes('read')) return reply.code(204).send(null);
      return notification;
    },
  );

  server.delete(
    `${path}/notifications/:id`,
    { config, schema: { ...common, summary: 'Remove a notification from the inbox, for good', response: { 204: nothing } } },
    async (request, reply) => {
      await inbox.remove(userOf(request), idOf(request));
      return reply.code(204).send(null);
    },
  );
}

function readAllRoutes(server: Server, { markAllAsRead }: Parts, { path, params, access, schema, userOf }: Whose): void {
  for (const url of [`${path}/notifications/read-all`, `${path}/read-all`]) {
    server.post(
      url,
      {
        config: { access: access.write, action: 'inbox.changed' },
        schema: { ...schema, params, summary: 'Mark all notifications as read', response: { 204: nothing } },
      },
      async (request, reply) => {
        await markAllAsRead(userOf(request));
        return reply.code(204).send(null);
      },
    );
  }
}

/** The changes a body asks for, in the order in which they are made: archiving comes last, since it reads as well. */
function marksOf({ seen, read, archived }: z.output<typeof marksSchema>): InboxMark[] {
  return [
    ...(seen ? (['seen'] as const) : []),
    ...(read === undefined ? [] : [read ? ('read' as const) : ('unread' as const)]),
    ...(archived === undefined ? [] : [archived ? ('archived' as const) : ('unarchived' as const)]),
  ];
}
