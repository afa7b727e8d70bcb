import { CarillonError } from '@carillon/contracts';
import type { TemplateEntry } from '@carillon/templates';
import type { ApiParts } from './parts.js';
import {
  idParams,
  listQuerySchema,
  nothing,
  registeredSchema,
  templateBodySchema,
  templateEntrySchema,
  templatePageSchema,
} from './schemas.js';
import { bodyCheckedByOwner, type Server } from './validation.js';

/** Bytes of a template's JSON: text of 64 KiB can take four times as much once escaped. */
const TEMPLATE_REQUEST_MAX_BYTES = 256 * 1024;

const tags = ['templates'];
const show = ({ template, version }: TemplateEntry) => ({ ...template, version });

/** Registering templates and taking them out of use. */
export function templateRoutes(server: Server, { templates }: Pick<ApiParts, 'templates'>): void {
  server.put(
    '/v1/templates/:id',
    {
      bodyLimit: TEMPLATE_REQUEST_MAX_BYTES,
      validatorCompiler: bodyCheckedByOwner,
      schema: {
        tags,
        summary: 'Register a template; the same content is the same version',
        params: idParams,
        body: templateBodySchema,
        response: { 200: registeredSchema },
      },
    },
    async (request) => templates.register(withId(request.body, request.params.id)),
  );

  server.get(
    '/v1/templates/:id',
    { schema: { tags, summary: 'A template and its version', params: idParams, response: { 200: templateEntrySchema } } },
    async (request) => show(await templates.get(request.params.id)),
  );

  server.delete(
    '/v1/templates/:id',
    { schema: { tags, summary: 'Take a template out of use', params: idParams, response: { 204: nothing } } },
    async (request, reply) => {
      await templates.remove(request.params.id);
      return reply.code(204).send(null);
    },
  );

  server.get(
    '/v1/templates',
    { schema: { tags, summary: 'Registered templates by id', querystring: listQuerySchema, response: { 200: templatePageSchema } } },
    async (request) => {
      const { limit, cursor } = request.query;
      const page = await templates.list({ limit, ...(cursor !== undefined && { cursor }) });
      return { data: page.data.map(show), nextCursor: page.nextCursor ?? null };
    },
  );
}

/** @throws FIELD_INVALID `id` if the body names another id than the path. */
function withId(body: unknown, id: string): unknown {
  // What is not an object is left for the templates to refuse.
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const named = (body as { id?: unknown }).id;
  if (named !== undefined && named !== id)
    throw new CarillonError('FIELD_INVALID', { field: 'id', message: 'id: differs from the id in the path' });
  return { ...body, id };
}
