import { createHash } from 'node:crypto';
import { errorCatalogue } from '@carillon/contracts';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { DOCS, escapeHtml, LOGIN, PAGE_TYPE, toPage } from './page.js';
import type { Policy } from './policy.js';
import { anchorOf, sendProblem, toFault } from './problem.js';
import type { Server } from './validation.js';

const SCRIPT = `${DOCS}/reference.js`;

/** Everything the reference could ask of others is off; it loads nothing but the description. */
const CONFIGURATION = {
  url: '/openapi.json',
  cdn: SCRIPT,
  pageTitle: 'Carillon: the HTTP interface',
  withDefaultFonts: false,
  telemetry: false,
  showDeveloperTools: 'never',
  hideClientButton: true,
  agent: { disabled: true },
  mcp: { disabled: true },
} as const;

/** The page and the script of the reference. */
interface Reference {
  readonly page: string;
  readonly script: string;
  /** What the page may run besides the script: the lines that start it, by their hash (CSP Level 3, §2.3.1). */
  readonly starts: string;
}

/** `/docs`: the description of the interface, for people, by whichever key or session. Browsers without one are sent to the form. */
export function docsRoutes(server: Server): void {
  const config: Policy = { access: 'anyKey', action: 'none' };
  const options = { config, schema: { hide: true }, errorHandler: turnAway };
  let reference: Promise<Reference> | undefined;
  const read = () => {
    reference ??= readReference();
    return reference;
  };
  server.get(DOCS, options, async (_request, reply) => {
    const { page, starts } = await read();
    return reply.header('content-security-policy', policyOf(starts)).type(PAGE_TYPE).send(page);
  });
  const open: Policy = { access: 'anybody', action: 'none' };
  server.get(ERRORS, { config: open, schema: { hide: true } }, async (_request, reply) => reply.type(PAGE_TYPE).send(ERRORS_PAGE));
  server.get(SCRIPT, options, async (_request, reply) => reply.type('text/javascript; charset=utf-8').send((await read()).script));
}

/** Where the `type` of every problem leads (RFC 9457 section 3.1.1). */
const ERRORS = `${DOCS}/errors`;
const ERRORS_PAGE = toPage(
  'Carillon: errors',
  `<h1>Errors</h1>
<dl>
${Object.entries(errorCatalogue)
  .map(([code, [verdict, sentence]]) => `<dt id="${anchorOf(code)}"><code>${code}</code> (${verdict})</dt><dd>${escapeHtml(sentence)}</dd>`)
  .join('\n')}
</dl>`,
);

function turnAway(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const navigates = request.headers.accept?.includes('text/html') && request.headers.authorization === undefined;
  if (navigates && toFault(thrown).error.code === 'UNAUTHORIZED') return reply.redirect(`${LOGIN}?to=${DOCS}`, 303);
  return sendProblem(thrown, reply);
}

/** Takes both from the library's own plugin when they are first asked for: it is 5 MB, which no start should wait for. */
async function readReference(): Promise<Reference> {
  const { default: scalar } = await import('@scalar/fastify-api-reference');
  const inner = fastify();
  await inner.register(scalar, { routePrefix: '/r', configuration: CONFIGURATION });
  const page = (await inner.inject('/r/')).body;
  const script = (await inner.inject('/r/js/scalar.js')).body;
  await inner.close();
  const inline = [...page.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(([, text]) => text as string);
  const hashes = inline.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`);
  return { page, script, starts: hashes.join(' ') };
}

/** The reference puts its styles into the page itself. */
const policyOf = (starts: string) =>
  [
    "default-src 'none'",
    `script-src 'self' ${starts}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "worker-src 'self' blob:",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
