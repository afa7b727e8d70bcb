import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { CarillonError } from '@carillon/contracts';
import type { Log } from '@carillon/service';
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createSessions, type Sessions } from './admin-session.js';
import type { ApiParts, BoardQueue } from './parts.js';
import { sendProblem, toFault, toProblem } from './problem.js';
import type { Server } from './validation.js';

const BOARD = '/admin/queues';
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

/** Bull Board at `/admin/queues` and the form to sign in at `/admin/login`. */
export async function adminQueues(
  server: Server,
  { queues, apiKeys, vault, metrics, log }: Pick<ApiParts, 'queues' | 'apiKeys' | 'vault' | 'metrics' | 'log'>,
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
  });
}

function signIn(server: Server, sessions: Sessions, refused: () => void): void {
  const schema = { hide: true };
  const page = (reply: FastifyReply, status: number, fault?: string) =>
    reply.code(status).header('cache-control', 'no-store').type('text/html; charset=utf-8').send(loginPage(fault));

  server.get(LOGIN, { schema }, async (_request, reply) => page(reply, 200));
  server.post(LOGIN, { schema, bodyLimit: 4096 }, async (request, reply) => {
    const { key } = (request.body ?? {}) as { key?: unknown };
    if (typeof key === 'string' && sessions.open(request, reply, key.trim())) return reply.redirect(BOARD, 303);
    refused();
    return page(reply, 401, 'This key is not known here.');
  });
}

/** Browsers that navigate are sent to the form; for all else it is a problem like any other. */
function turnAway(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const navigates = request.method === 'GET' && request.headers.accept?.includes('text/html');
  if (navigates) return reply.redirect(LOGIN, 303);
  // A browser would answer the Basic challenge of a background request with a prompt of its own, over the board.
  const isBrowser = request.headers['sec-fetch-mode'] !== undefined;
  if (!isBrowser) reply.header('www-authenticate', 'Basic realm="Carillon", charset="UTF-8"');
  return sendProblem(new CarillonError('UNAUTHORIZED'), reply);
}

/** Bull Board as a plugin. */
function board(queues: readonly BoardQueue[], log: Log) {
  const adapter = new FastifyAdapter();
  adapter.setBasePath(BOARD);
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue)),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'Carillon', hideRedisDetails: true, hideDocsLink: true } },
  });
  // Its own handler shows messages of errors.
  adapter.setErrorHandler((thrown) => {
    const { error, status } = toFault(thrown);
    if (status >= 500) log.error('queue board failed', { error });
    return { status: status as 500, body: { ...toProblem(error, status) } };
  });
  return adapter.registerPlugin();
}

function loginPage(fault?: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Carillon: sign in</title></head>
<body>
<h1>Queues</h1>
${fault === undefined ? '' : `<p role="alert">${fault}</p>`}
<form method="post" action="${LOGIN}">
<label>API key <input type="password" name="key" autocomplete="current-password" required autofocus></label>
<button>Sign in</button>
</form>
</body>
</html>
`;
}
