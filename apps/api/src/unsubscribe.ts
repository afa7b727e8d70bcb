import { errorCatalogue } from '@carillon/contracts';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { escapeHtml, PAGE_HEADERS, PAGE_TYPE, toPage } from './page.js';
import type { ApiParts } from './parts.js';
import { logFault, retryAfterSeconds, toFault } from './problem.js';
import type { Server } from './validation.js';

/** Bytes of the form that mail programs send (RFC 8058, section 3.2): one field. */
const FORM_MAX_BYTES = 16 * 1024;

const ASK = toPage(
  'Unsubscribe',
  `<h1>Unsubscribe</h1>
<p>Do you want to stop receiving these messages?</p>
<form method="post"><button>Unsubscribe</button></form>`,
);
const DONE = toPage(
  'Unsubscribed',
  `<h1>Unsubscribed</h1>
<p>You will not receive these messages any more.</p>`,
);

/**
 * Unsubscribing by a link (RFC 8058). Reading changes nothing, since mail scanners follow every link; posting does, without cookie or login and
 * as often as one likes. The pages tell nothing of whom the link was made for.
 */
export function unsubscribeRoutes(server: Server, { directory, log }: Pick<ApiParts, 'directory' | 'log'>): void {
  const common = { tags: ['unsubscribe'], security: [], params: z.object({ token: z.string() }), response: { 200: z.string() } };
  // The link says all; mail programs send one field, as a form of either kind.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null, undefined));
  server.addHook('onRequest', async (_request, reply) => {
    reply.headers(PAGE_HEADERS).header('x-robots-tag', 'noindex');
  });
  server.setErrorHandler((thrown, request, reply) => {
    logFault(log, thrown, request);
    return sayFault(thrown, reply);
  });

  server.get(
    '/unsubscribe/:token',
    {
      config: { access: 'anybody', action: 'operations.viewed' },
      schema: { ...common, summary: 'A page that asks whether to unsubscribe; changes nothing' },
    },
    async (request, reply) => {
      directory.readUnsubscribeToken(request.params.token);
      return reply.type(PAGE_TYPE).send(ASK);
    },
  );
  server.post(
    '/unsubscribe/:token',
    {
      config: { access: 'anybody', action: 'person.changed' },
      bodyLimit: FORM_MAX_BYTES,
      schema: { ...common, summary: 'Unsubscribe (one-click, RFC 8058)' },
    },
    async (request, reply) => {
      const about = directory.readUnsubscribeToken(request.params.token);
      await directory.unsubscribe(about);
      request.concerns = { users: [about.userId] };
      return reply.type(PAGE_TYPE).send(DONE);
    },
  );
}

/** A fault, for people. */
function sayFault(thrown: unknown, reply: FastifyReply): FastifyReply {
  const { error, status } = toFault(thrown);
  const retryAfter = retryAfterSeconds(error, status);
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
  const sentence = status >= 500 ? 'This does not work right now. Please try again in a few minutes.' : errorCatalogue[error.code][1];
  return reply
    .code(status)
    .type(PAGE_TYPE)
    .serializer(String)
    .send(toPage('Unsubscribe', `<h1>Unsubscribe</h1>\n<p role="alert">${escapeHtml(sentence)}</p>`));
}
