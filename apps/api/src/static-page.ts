import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CarillonError } from '@carillon/contracts';
import fastifyStatic from '@fastify/static';
import { z } from 'zod';
import { PAGE, PAGE_TYPE } from './page.js';
import type { ApiParts } from './parts.js';
import type { Policy } from './policy.js';
import { toFault } from './problem.js';
import type { Server } from './validation.js';

/** Where what the page loads is. Its names change with its content. */
const ASSETS = '/assets/';
/** How long a browser keeps an asset, ms: as long as it likes. */
const ASSETS_MAX_AGE = 365 * 24 * 3_600_000;

const config: Policy = { access: 'anybody', action: 'none' };
const schema = { tags: ['operations'], security: [], summary: 'The page', response: { 200: z.string() } };

/** For every page of ours: browsers ask for it by themselves. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><title>Carillon</title><rect width="32" height="32" rx="7" fill="#1857c9"/>
<path d="M16 6a7 7 0 0 0-7 7v5l-2 4h18l-2-4v-5a7 7 0 0 0-7-7zm-3 18a3 3 0 0 0 6 0z" fill="#fff"/></svg>`;

const LINKS = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Carillon</title></head>
<body>
<h1>Carillon</h1>
<p>The notification service is running.</p>
<ul>
<li><a href="/admin/queues">Queues</a>, <a href="/preview/mail">previews</a> and <a href="/docs">the interface</a> (sign in with an API key)</li>
<li><a href="/healthz">Alive</a>, <a href="/readyz">ready</a></li>
<li><code>/openapi.json</code> and <code>/metrics</code>, with <code>Authorization: Bearer &lt;API key&gt;</code></li>
</ul>
</body>
</html>
`;

/**
 * The page at `/`, for anybody: it holds no data, and asks for what it shows with the session of who is signed in. Without a built page it is a list of links.
 */
export async function pageRoutes(server: Server, { page, socketUrl }: Pick<ApiParts, 'page' | 'socketUrl'>): Promise<void> {
  server.get('/favicon.ico', { config, schema: { hide: true } }, async (_request, reply) => reply.type('image/svg+xml').send(ICON));
  if (page === undefined) {
    server.get(PAGE, { config, schema }, async (_request, reply) => reply.type(PAGE_TYPE).send(LINKS));
    return;
  }
  const html = await readFile(join(page, 'index.html'), 'utf8');
  server.get(PAGE, { config, schema }, async (_request, reply) => {
    const socket = new URL(typeof socketUrl === 'string' ? socketUrl : socketUrl());
    return reply
      .headers(headersFor(`${socket.protocol}//${socket.host}`))
      .type(PAGE_TYPE)
      .send(html);
  });
  await server.register(async (assets) => {
    assets.addHook('onRoute', (route) => {
      route.config = { ...route.config, ...config };
    });
    // A folder, and what lies outside of it, it answers with 403; here neither is there.
    assets.setErrorHandler((thrown) => {
      throw toFault(thrown).status === 403 ? new CarillonError('ROUTE_NOT_FOUND') : thrown;
    });
    const kept = { maxAge: ASSETS_MAX_AGE, immutable: true };
    await assets.register(fastifyStatic, { root: join(page, 'assets'), prefix: ASSETS, index: false, decorateReply: false, ...kept });
  });
}

/**
 * The page runs and loads what is built into it, asks this interface and the gateway, and frames previews of mail. `same-origin` as referrer policy: with
 * `no-referrer` browsers send `Origin: null` with the form that signs out.
 */
const headersFor = (gateway: string) => ({
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src 'self' ${gateway}`,
    "frame-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy': 'same-origin',
});
