import type { Preview } from '@carillon/channel';
import { CarillonError, channelDefinition } from '@carillon/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { escapeHtml, PAGE_HEADERS, PAGE_TYPE, toPage } from './page.js';
import type { ApiParts } from './parts.js';
import type { Policy } from './policy.js';
import { idParams } from './schemas.js';
import type { Server } from './validation.js';

/** Where previews begin. */
export const PREVIEWS = '/preview/mail';

const listed = z.object({ limit: z.coerce.number({ error: 'must be a whole number from 1 to 100' }).int().min(1).max(100).default(50) });

/** A mail is shown as it came, but runs nothing, loads nothing and reaches nothing of ours. */
const MAIL_HEADERS = {
  'content-security-policy': "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'",
  'x-frame-options': 'SAMEORIGIN',
};

/** What would have been sent: messages kept instead of being given to a provider. For people who are signed in, and for tools with a key. */
export function previewRoutes(server: Server, { previews }: Pick<ApiParts, 'previews'>): void {
  const schema = { hide: true };
  const config: Policy = { access: 'session', action: 'preview.viewed' };
  const find = async (request: FastifyRequest): Promise<Preview> => {
    const preview = await previews.get((request.params as { id: string }).id);
    if (!preview) throw new CarillonError('NOTIFICATION_NOT_FOUND');
    request.concerns = { users: [preview.userId] };
    return preview;
  };
  server.addHook('onRequest', async (_request, reply) => {
    reply.headers({ ...PAGE_HEADERS, 'content-security-policy': `${PAGE_HEADERS['content-security-policy']}; frame-src 'self'` });
  });

  server.get(PREVIEWS, { config, schema: { ...schema, querystring: listed } }, async (request, reply) => {
    const data = await previews.list(request.query.limit);
    request.concerns = { ids: data.map(({ id }) => id), users: data.map(({ userId }) => userId) };
    return wantsJson(request) ? { data, nextCursor: null } : sendPage(reply, toPage('Previews', toList(data)));
  });
  server.get(`${PREVIEWS}/:id`, { config, schema: { ...schema, params: idParams } }, async (request, reply) => {
    const preview = await find(request);
    return wantsJson(request) ? preview : sendPage(reply, toPage('Preview', toDetails(preview)));
  });
  server.get(`${PREVIEWS}/:id/html`, { config, schema: { ...schema, params: idParams } }, async (request, reply) => {
    const { channel, content } = await find(request);
    const field = Object.keys(content).find((name) => isHtml(channel, name));
    if (field === undefined) throw new CarillonError('ROUTE_NOT_FOUND');
    return sendPage(reply.headers(MAIL_HEADERS), content[field] as string);
  });
}

const sendPage = (reply: FastifyReply, html: string) => reply.type(PAGE_TYPE).serializer(String).send(html);

function wantsJson({ headers }: FastifyRequest): boolean {
  const { accept = '' } = headers;
  return accept.includes('application/json') && !accept.includes('text/html');
}

const isHtml = (channel: Preview['channel'], field: string) => channelDefinition(channel).content[field]?.format === 'html';

function toList(previews: readonly Preview[]): string {
  const rows = previews.map(({ id, channel, to, content, at }) => {
    const [first = ''] = Object.values(content);
    const cells = [new Date(at).toISOString(), channel, to].map((text) => `<td>${escapeHtml(text)}</td>`);
    return `<tr>${cells.join('')}<td><a href="${hrefOf(id)}">${escapeHtml(first.slice(0, 200)) || '(empty)'}</a></td></tr>`;
  });
  if (rows.length === 0) return '<h1>Previews</h1>\n<p>Nothing is kept.</p>';
  const head = '<tr><th>Time</th><th>Channel</th><th>To</th><th>Message</th></tr>';
  return `<h1>Previews</h1>\n<table>\n<thead>${head}</thead>\n<tbody>\n${rows.join('\n')}\n</tbody>\n</table>`;
}

function toDetails({ id, channel, to, content, at }: Preview): string {
  const about = `<p>${escapeHtml(`${channel} to ${to}, ${new Date(at).toISOString()}`)}</p>`;
  const fields = Object.entries(content).map(([name, text]) => {
    const shown = isHtml(channel, name)
      ? `<iframe sandbox src="${hrefOf(id)}/html" title="${escapeHtml(name)}" width="100%" height="600"></iframe>`
      : `<pre>${escapeHtml(text)}</pre>`;
    return `<h2>${escapeHtml(name)}</h2>\n${shown}`;
  });
  return `<p><a href="${PREVIEWS}">All previews</a></p>\n<h1>Preview</h1>\n${about}\n${fields.join('\n')}`;
}

const hrefOf = (id: string) => `${PREVIEWS}/${encodeURIComponent(id)}`;
