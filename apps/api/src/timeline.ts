import { deliveryReasons, errorCatalogue } from '@carillon/contracts';
import type { NotificationRecord } from '@carillon/deliveries';
import type { ApiParts } from './parts.js';
import { listQuerySchema, type ShownRecord, timelineSchema, userParams } from './schemas.js';
import type { Server } from './validation.js';

const sentences: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(Object.entries(errorCatalogue).map(([code, [, sentence]]) => [code, sentence])),
  ...deliveryReasons,
};

/** A record as it is shown: with the reasons in words. What it is about is for its user only. */
export function toShown({ category: _category, deliveries, ...record }: NotificationRecord): ShownRecord {
  const explain = (reason: string | null) => (reason === null ? null : (sentences[reason] ?? null));
  return { ...record, deliveries: deliveries.map((delivery) => ({ ...delivery, explanation: explain(delivery.reason) })) };
}

/** One person's notifications and what became of each: why did it not arrive? */
export function timelineRoutes(server: Server, { deliveries }: Pick<ApiParts, 'deliveries'>): void {
  server.get(
    '/v1/users/:userId/deliveries',
    {
      config: { access: 'read', action: 'notification.viewed' },
      schema: {
        tags: ['users'],
        summary: 'How the notifications of a user and their deliveries stand, newest first; nothing of what they say',
        params: userParams,
        querystring: listQuerySchema,
        response: { 200: timelineSchema },
      },
    },
    async (request) => {
      const { data, nextCursor = null } = await deliveries.page(request.params.userId, request.query);
      request.concerns = { ids: data.map(({ id }) => id) };
      return { data: data.map(toShown), nextCursor };
    },
  );
}
