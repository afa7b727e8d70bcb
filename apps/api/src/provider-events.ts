import { CarillonError } from '@carillon/contracts';
import { z } from 'zod';
import type { ApiParts } from './parts.js';
import { nothing } from './schemas.js';
import type { Server } from './validation.js';

/** Bytes of one report: SendGrid sends up to 1000 events at once, each of a few KiB at most. */
const EVENTS_MAX_BYTES = 5 * 1024 * 1024;

/** What providers report on their own. No key: each request proves by its signature where it comes from. */
export function providerRoutes(
  server: Server,
  { receivers, receive, publicUrl, metrics }: Pick<ApiParts, 'receivers' | 'receive' | 'publicUrl' | 'metrics'>,
): void {
  const receiverOf = (provider: string) => (Object.hasOwn(receivers, provider) ? receivers[provider] : undefined);
  // Signatures are over bytes.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  server.addHook('onRequest', async (request) => {
    if (!receiverOf((request.params as { provider: string }).provider)) throw new CarillonError('ROUTE_NOT_FOUND');
  });

  server.post(
    '/v1/providers/:provider/events',
    {
      config: { access: 'signature', action: 'receipt.taken', auditedBelow: true },
      bodyLimit: EVENTS_MAX_BYTES,
      schema: {
        tags: ['providers'],
        security: [],
        summary: 'What a provider reports of deliveries, signed by it',
        params: z.object({ provider: z.string() }),
        response: { 200: z.string(), 204: nothing },
      },
    },
    async (request, reply) => {
      const { provider } = request.params;
      const receiver = receiverOf(provider);
      if (!receiver) throw new CarillonError('ROUTE_NOT_FOUND');
      const origin = typeof publicUrl === 'string' ? publicUrl : publicUrl();
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      if (body.length > (receiver.maxBytes ?? EVENTS_MAX_BYTES)) throw new CarillonError('PAYLOAD_TOO_LARGE');
      const receipts = verified(() => receiver.read({ url: origin + request.originalUrl, headers: request.headers, body }), metrics);
      // What fails from here on (Redis is away) is answered so that the provider repeats it.
      await receive(receiver.channel, provider, receipts);
      if (!receiver.answer) return reply.code(204).send(null);
      return reply.type(receiver.answer.type).serializer(String).send(receiver.answer.body);
    },
  );
}

/** Runs a check of a signature and counts the forgeries. */
function verified<T>(read: () => T, metrics: ApiParts['metrics']): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof CarillonError && error.code === 'SIGNATURE_INVALID') metrics.authenticationFailed('webhook', error.code);
    throw error;
  }
}
