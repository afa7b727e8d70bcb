import { CarillonError, partialSchema } from '@carillon/contracts';
import type { TemplateEntry } from '@carillon/templates';
import type { ApiParts } from './parts.js';
import {
  idParams,
  listQuerySchema,
  nothing,
  partialBodySchema,
  partialPageSchema,
  previewRequestSchema,
  previewSchema,
  registeredPartialSchema,
  registeredSchema,
  templateBodySchema,
  templateEntrySchema,
  templatePageSchema,
} from './schemas.js';
import { bodyCheckedByOwner, type Server } from './validation.js';

/** Bytes of a template's JSON: HTML and text of 64 KiB each in a few languages, escaped. */
const TEMPLATE_REQUEST_MAX_BYTES = 1024 * 1024;
/** Bytes of a partial's JSON: 64 KiB can take four times as much once escaped. */
const PARTIAL_REQUEST_MAX_BYTES = 256 * 1024;

const tags = ['templates'];
const show = ({ template, version }: TemplateEntry) => ({ ...template, version });

type Parts = Pick<ApiParts, 'templates'>;

/** Registering templates and partials, looking at them, and taking them out of use. */
export function templateRoutes(server: Server, parts: Parts): void {
  definitionRoutes(server, parts);
  previewRoute(server, parts);
  partialRoutes(server, parts);
}

function definitionRoutes(server: Server, { templates }: Parts): void {
  server.put(
    '/v1/templates/:id',
    {
      config: { access: 'admin', action: 'template.registered' },
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
    {
      config: { access: 'read', action: 'template.viewed' },
      schema: { tags, summary: 'A template and its version', params: idParams, response: { 200: templateEntrySchema } },
    },
    async (request) => show(await templates.get(request.params.id)),
  );

  server.delete(
    '/v1/templates/:id',
    {
      config: { access: 'admin', action: 'template.removed' },
      schema: { tags, summary: 'Take a template out of use', params: idParams, response: { 204: nothing } },
    },
    async (request, reply) => {
      await templates.remove(request.params.id);
      return reply.code(204).send(null);
    },
  );

  server.get(
    '/v1/templates',
    {
      config: { access: 'read', action: 'template.viewed' },
      schema: { tags, summary: 'Registered templates by id', querystring: listQuerySchema, response: { 200: templatePageSchema } },
    },
    async (request) => {
      const { limit, cursor } = request.query;
      const page = await templates.list({ limit, ...(cursor !== undefined && { cursor }) });
      return { data: page.data.map(show), nextCursor: page.nextCursor ?? null };
    },
  );
}

function previewRoute(server: Server, { templates }: Parts): void {
  server.post(
    '/v1/templates/:id/preview',
    {
      config: { access: 'read', action: 'template.viewed' },
      schema: {
        tags,
        summary: 'What a template says on each of its channels; nothing is queued or stored',
        params: idParams,
        body: previewRequestSchema,
        response: { 200: previewSchema },
      },
    },
    async (request) => templates.preview(request.params.id, request.body),
  );
}

function partialRoutes(server: Server, { templates }: Parts): void {
  server.put(
    '/v1/partials/:id',
    {
      config: { access: 'admin', action: 'template.registered' },
      bodyLimit: PARTIAL_REQUEST_MAX_BYTES,
      validatorCompiler: bodyCheckedByOwner,
      schema: {
        tags,
        summary: 'Register HTML that templates share; those that use it get a new version',
        params: idParams,
        body: partialBodySchema,
        response: { 200: registeredPartialSchema },
      },
    },
    async (request) => templates.registerPartial(withId(request.body, request.params.id)),
  );

  server.get(
    '/v1/partials/:id',
    {
      config: { access: 'read', action: 'template.viewed' },
      schema: { tags, summary: 'A partial', params: idParams, response: { 200: partialSchema } },
    },
    async (request) => templates.partial(request.params.id),
  );

  server.delete(
    '/v1/partials/:id',
    {
      config: { access: 'admin', action: 'template.removed' },
      schema: { tags, summary: 'Take a partial out of use', params: idParams, response: { 204: nothing } },
    },
    async (request, reply) => {
      await templates.removePartial(request.params.id);
      return reply.code(204).send(null);
    },
  );

  server.get(
    '/v1/partials',
    {
      config: { access: 'read', action: 'template.viewed' },
      schema: { tags, summary: 'Registered partials by id', querystring: listQuerySchema, response: { 200: partialPageSchema } },
    },
    async (request) => {
      const { limit, cursor } = request.query;
      const page = await templates.listPartials({ limit, ...(cursor !== undefined && { cursor }) });
      return { ...page, nextCursor: page.nextCursor ?? null };
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
