import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse } from '@carillon/contracts';
import type { FastifyBaseLogger, FastifyInstance, FastifySchemaCompiler, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';

/** The server, whose routes get their types from zod schemas. */
export type Server = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

/** Reads parameters, query and body by their schemas; a fault is FIELD_INVALID with its field. Headers are described only. */
export const checked: FastifySchemaCompiler<unknown> = ({ schema, httpPart }) => {
  if (httpPart === 'headers') return (value: unknown) => ({ value });
  return (value: unknown) => {
    try {
      return { value: parse(schema as z.ZodType, value) };
    } catch (error) {
      return { error: error as Error };
    }
  };
};

/** The same, but for the body, which its owner (the producer, the templates) checks: once is enough on the hot path. */
export const bodyCheckedByOwner: FastifySchemaCompiler<unknown> = (route) =>
  route.httpPart === 'body' ? (value: unknown) => ({ value }) : checked(route);
