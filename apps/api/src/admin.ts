import { CarillonError } from '@carillon/contracts';
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BOARD, board } from './admin-queues.js';
import { createSessions, type Sessions } from './admin-session.js';
import { PAGE_TYPE, toPage } from './page.js';
import type { ApiParts } from './parts.js';
import { PREVIEWS, previewRoutes } from './previews.js';
import { sendProblem } from './problem.js';
import type { Server } from './validation.js';

const LOGIN = '/admin/login';

/**
 * The board brings its own scripts and uses inline styles; nothing comes from elsewhere, and no page may frame it.
 * `same-origin` as referrer policy: `no-referrer` would make browsers send `Origin: null` with the form.
 */
const HEADERS = {
  'content-security-policy': [
    "default-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "worker-src 'self' blob:",
    "object-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
};

/** What people see who sign in: Bull Board at `/admin/queues`, previews at `/preview/mail`, and the form to sign in at `/admin/login`. */
export async function adminArea(
  server: Server,
  { queues, previews, apiKeys, vault, metrics, log }: Pick<ApiParts, 'queues' | 'previews' | 'apiKeys' | 'vault' | 'metrics' | 'log'>,
): Promise<void> {
  const sessions = createSessions(apiKeys, vault);
  await server.register(cookie);
  await server.register(formbody);
  server.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS);
  });
  const refused = () => metrics.authenticationFailed('admin', 'UNAUTHORIZED');
  signIn(server, sessions, refused);
  await server.register(async (guarded) => {
    guarded.addHook('onRequest', async (request, reply) => {
      const verdict = sessions.check(request);
      if (verdict === 'in') return;
      // Arriving without a session is no failed attempt.
      if (verdict === 'refused') refused();
      return turnAway(request, reply);
    });
    await guarded.register(board(queues(), log), { prefix: BOARD });
    await guarded.register(async (pages) => previewRoutes(pages as Server, { previews }));
  });
}

function signIn(server: Server, sessions: Sessions, refused: () => void): void {
  const schema = { hide: true };
  const page = (reply: FastifyReply, status: number, to: unknown, fault?: string) =>
    reply
      .code(status)
      .header('cache-control', 'no-store')
      .type(PAGE_TYPE)
      .send(loginPage(destination(to), fault));

  server.get(LOGIN, { schema }, async (request, reply) => page(reply, 200, (request.query as { to?: unknown }).to));
  server.post(LOGIN, { schema, bodyLimit: 4096 }, async (request, reply) => {
    const { key, to } = (request.body ?? {}) as { key?: unknown; to?: unknown };
    if (typeof key === 'string' && sessions.open(request, reply, key.trim())) return reply.redirect(destination(to), 303);
    refused();
    return page(reply, 401, to, 'This key is not known here.');
  });
}

/** Where somebody goes who has signed in: never to where a link of another site says. */
const destination = (wish: unknown) => (wish === PREVIEWS ? PREVIEWS : BOARD);

/** Browsers that navigate are sent to the form; for all else it is a problem like any other. */
function turnAway(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const navigates = request.method === 'GET' && request.headers.accept?.includes('text/html');
  if (navigates) return reply.redirect(request.url.startsWith(PREVIEWS) ? `${LOGIN}?to=${PREVIEWS}` : LOGIN, 303);
  // A browser would answer the Basic challenge of a background request with a prompt of its own, over the board.
  const isBrowser = request.headers['sec-fetch-mode'] !== undefined;
  if (!isBrowser) reply.header('www-authenticate', 'Basic realm="Carillon", charset="UTF-8"');
  return sendProblem(new CarillonError('UNAUTHORIZED'), reply);
}

function loginPage(to: string, fault?: string): string {
  return toPage(
    'Carillon: sign in',
    `<h1>Sign in</h1>
${fault === undefined ? '' : `<p role="alert">${fault}</p>`}
<form method="post" action="${LOGIN}">
<input type="hidden" name="to" value="${to}">
<label>API key <input type="password" name="key" autocomplete="current-password" required autofocus></label>
<button>Sign in</button>
</form>`,
  );
}
