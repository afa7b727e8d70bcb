import { CarillonError, type ErrorCode, errorCatalogue } from '@carillon/contracts';
import formbody from '@fastify/formbody';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { addBoard, BOARD, LOGOUT } from './admin-queues.js';
import { isFromElsewhere, isReading, requireViewer, type Sessions } from './admin-session.js';
import type { Gate } from './guard.js';
import { OPEN } from './opening.js';
import { DOCS, LOGIN, PAGE, PAGE_TYPE, toPage } from './page.js';
import type { ApiParts } from './parts.js';
import { PREVIEWS, previewRoutes } from './previews.js';
import { retryAfterSeconds, sendProblem, toFault } from './problem.js';
import type { Server } from './validation.js';

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

type Parts = Pick<ApiParts, 'queues' | 'previews' | 'log'>;

/**
 * What people see who sign in: Bull Board at `/admin/queues`, previews at `/preview/mail`, and the forms to sign in and out. A key that may `read`
 * may look, one that may `admin` may also act.
 */
export async function adminArea(server: Server, parts: Parts, gate: Gate, sessions: Sessions): Promise<void> {
  await server.register(formbody);
  server.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS);
  });
  signIn(server, sessions);
  openLink(server, sessions);
  signOut(server, sessions);
  sessionRoute(server, sessions);
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
  server.get(LOGIN, { config: { access: 'anybody', action: 'none' }, schema }, async (request, reply) =>
    reply.type(PAGE_TYPE).send(loginPage(destination((request.query as { to?: unknown }).to))),
  );
  server.post(LOGIN, { config: { access: 'anybody', action: 'session.opened' }, schema, bodyLimit: 4096 }, async (request, reply) => {
    const { key, to } = (request.body ?? {}) as { key?: unknown; to?: unknown };
    try {
      await sessions.open(request, reply, typeof key === 'string' ? key.trim() : '');
      return reply.redirect(destination(to), 303);
    } catch (thrown) {
      return sendFault(thrown, request, reply, ({ code }) => loginPage(destination(to), faultOf(code)));
    }
  });
}

/** One-time links. A HEAD request uses none up: there is no such route. */
function openLink(server: Server, sessions: Sessions): void {
  const options = { config: { access: 'anybody', action: 'session.opened' } as const, schema: { hide: true }, exposeHeadRoute: false };
  server.get(`${OPEN}:code`, options, async (request, reply) => {
    // A browser that loads what may be clicked next has clicked nothing yet.
    if (`${request.headers['sec-purpose'] ?? request.headers.purpose}`.includes('prefetch')) throw new CarillonError('ROUTE_NOT_FOUND');
    try {
      await sessions.openByLink(request, reply, (request.params as { code: string }).code);
      return reply.redirect(PAGE, 303);
    } catch (thrown) {
      return sendFault(thrown, request, reply, ({ code }) =>
        code === 'UNAUTHORIZED' ? USED_PAGE : toPage('Carillon', toAlert(faultOf(code))),
      );
    }
  });
}

/** Answers a person with a page that says what is wrong. @throws what is a fault of ours */
function sendFault(thrown: unknown, request: FastifyRequest, reply: FastifyReply, toHtml: (error: CarillonError) => string): FastifyReply {
  const { error, status } = toFault(thrown);
  if (status >= 500) throw thrown;
  request.failure = error.code;
  const retryAfter = retryAfterSeconds(error, status);
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
  return reply.code(status).type(PAGE_TYPE).send(toHtml(error));
}

const faultOf = (code: ErrorCode) => FAULTS[code] ?? errorCatalogue[code][1];
const toAlert = (text: string) => `<p role="alert">${text}</p>`;

const USED_PAGE = toPage(
  'Carillon: link used',
  `<h1>This link cannot be used any more</h1>
<p>A link opens the page once, within an hour of the start that printed it. <a href="${LOGIN}?to=${encodeURIComponent(PAGE)}">Sign in with an API key</a> instead, or start again.</p>`,
);

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
    await sessions.close(request, reply);
    return reply.redirect(LOGIN, 303);
  });
}

/** Whether the browser that asks is signed in, and as what: its page asks this first, since a refusal would be an error in its console. */
function sessionRoute(server: Server, sessions: Sessions): void {
  server.get('/admin/session', { config: { access: 'anybody', action: 'none' }, schema: { hide: true } }, async (request) => {
    const key = await sessions.current(request);
    return key ? { signedIn: true, name: key.name, scopes: key.scopes } : { signedIn: false };
  });
}

/** Where somebody goes who has signed in: never to where a link of another site says. */
const destination = (wish: unknown): string => [PAGE, DOCS, PREVIEWS].find((place) => place === wish) ?? BOARD;

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
${fault === undefined ? '' : toAlert(fault)}
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
