import { CarillonError, type ErrorCode, errorCatalogue } from '@carillon/contracts';
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { addBoard, BOARD, LOGOUT } from './admin-queues.js';
import { createSessions, isFromElsewhere, isReading, requireViewer, type Sessions } from './admin-session.js';
import type { Gate } from './guard.js';
import { PAGE_TYPE, toPage } from './page.js';
import type { ApiParts } from './parts.js';
import { PREVIEWS, previewRoutes } from './previews.js';
import { retryAfterSeconds, sendProblem, toFault } from './problem.js';
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
  'referrer-policy': 'same-origin',
};

type Parts = Pick<ApiParts, 'queues' | 'previews' | 'apiKeys' | 'vault' | 'metrics' | 'log'>;

/**
 * What people see who sign in: Bull Board at `/admin/queues`, previews at `/preview/mail`, and the forms to sign in and out. A key that may `read`
 * may look, one that may `admin` may also act.
 */
export async function adminArea(server: Server, parts: Parts, gate: Gate): Promise<void> {
  const sessions = createSessions(parts, gate);
  await server.register(cookie);
  await server.register(formbody);
  server.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS);
  });
  signIn(server, sessions);
  signOut(server, sessions);
  await server.register(async (guarded) => {
    guarded.addHook('onRequest', async (request, reply) => {
      try {
        const key = await sessions.find(request);
        if (!key) return turnAway(request, reply);
        await gate.enter('admin', request, reply, { type: 'admin', name: key.name }, key.scopes);
        requireViewer(gate, request);
        if (!isReading(request)) gate.demand('admin', request, 'admin');
      } catch (error) {
        return refuse(error, request, reply);
      }
    });
    await guarded.register(async (pages) => addBoard(pages as Server, parts.queues(), parts.log));
    await guarded.register(async (pages) => previewRoutes(pages as Server, parts));
  });
}

function signIn(server: Server, sessions: Sessions): void {
  const schema = { hide: true };
  const page = (reply: FastifyReply, status: number, to: unknown, fault?: string) =>
    reply
      .code(status)
      .type(PAGE_TYPE)
      .send(loginPage(destination(to), fault));

  server.get(LOGIN, { config: { access: 'anybody', action: 'none' }, schema }, async (request, reply) =>
    page(reply, 200, (request.query as { to?: unknown }).to),
  );
  server.post(LOGIN, { config: { access: 'anybody', action: 'session.opened' }, schema, bodyLimit: 4096 }, async (request, reply) => {
    const { key, to } = (request.body ?? {}) as { key?: unknown; to?: unknown };
    try {
      await sessions.open(request, reply, typeof key === 'string' ? key.trim() : '');
      return reply.redirect(destination(to), 303);
    } catch (thrown) {
      const { error, status } = toFault(thrown);
      if (status >= 500) throw thrown;
      request.failure = error.code;
      const retryAfter = retryAfterSeconds(error, status);
      if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
      return page(reply, status, to, FAULTS[error.code] ?? errorCatalogue[error.code][1]);
    }
  });
}

/** What a person is told who may not sign in. */
const FAULTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  UNAUTHORIZED: 'This key is not known here.',
  FORBIDDEN: 'This key may not look at queues.',
};

function signOut(server: Server, sessions: Sessions): void {
  const options = { config: { access: 'anybody', action: 'none' } as const, schema: { hide: true } };
  server.get(LOGOUT, options, async (_request, reply) => reply.type(PAGE_TYPE).send(LOGOUT_PAGE));
  server.post(LOGOUT, options, async (request, reply) => {
    if (isFromElsewhere(request)) throw new CarillonError('UNAUTHORIZED');
    sessions.close(reply);
    return reply.redirect(LOGIN, 303);
  });
}

/** Where somebody goes who has signed in: never to where a link of another site says. */
const destination = (wish: unknown) => (wish === PREVIEWS ? PREVIEWS : BOARD);

/** Browsers that navigate are sent to the form; for all else it is a problem like any other. Arriving without a session is no failed attempt. */
function turnAway(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const navigates = request.method === 'GET' && request.headers.accept?.includes('text/html');
  request.failure = 'UNAUTHORIZED';
  if (navigates) return reply.redirect(request.url.startsWith(PREVIEWS) ? `${LOGIN}?to=${PREVIEWS}` : LOGIN, 303);
  return refuse(new CarillonError('UNAUTHORIZED'), request, reply);
}

function refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  // A browser would answer the Basic challenge of a background request with a prompt of its own, over the board.
  const isBrowser = request.headers['sec-fetch-mode'] !== undefined;
  if (!isBrowser && toFault(error).status === 401) reply.header('www-authenticate', 'Basic realm="Carillon", charset="UTF-8"');
  return sendProblem(error, reply);
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

const LOGOUT_PAGE = toPage(
  'Carillon: sign out',
  `<h1>Sign out</h1>
<form method="post" action="${LOGOUT}"><button>Sign out</button></form>`,
);
