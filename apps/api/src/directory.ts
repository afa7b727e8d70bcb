import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ApiParts } from './parts.js';
import type { Access, Policy } from './policy.js';
import { nothing, userParams } from './schemas.js';
import {
  devicePageSchema,
  deviceRegistrationSchema,
  deviceSchema,
  inlineAddress,
  preferencesSchema,
  profilePatchSchema,
  profileSchema,
  suppressionParams,
  suppressionQuery,
  suppressionSchema,
} from './user-schemas.js';
import { bodyCheckedByOwner, type Server } from './validation.js';

/** Bytes of a body about one person: 1000 categories with names of 64 characters are the longest, escaped or not. */
const BODY_MAX_BYTES = 512 * 1024;

const tags = ['users'];
type Parts = Pick<ApiParts, 'directory'>;

/** Who people are, how they are reached, what they want, and the stops on their addresses. */
export function directoryRoutes(server: Server, { directory }: Parts): void {
  profileRoutes(server, directory);
  suppressionRoutes(server, directory);
  wishRoutes(server, directory, {
    path: '/v1/users/:userId',
    params: userParams,
    access: { read: 'read', write: 'send' },
    schema: { tags },
    userOf: ({ params }) => (params as { userId: string }).userId,
  });
}

function profileRoutes(server: Server, directory: Parts['directory']): void {
  const path = '/v1/users/:userId';
  const config: Policy = { access: 'send', action: 'person.changed' };
  const common = { tags, params: userParams, response: { 200: profileSchema } };

  server.get(path, { config: { access: 'read', action: 'person.viewed' }, schema: { ...common, summary: 'A profile' } }, async (request) =>
    directory.profile(request.params.userId),
  );

  server.put(
    path,
    { config, bodyLimit: BODY_MAX_BYTES, schema: { ...common, summary: 'Replace a profile', body: profileSchema } },
    async (request) => directory.setProfile(request.params.userId, request.body),
  );

  server.patch(
    path,
    {
      config: { ...config, shows: true },
      bodyLimit: BODY_MAX_BYTES,
      schema: {
        ...common,
        summary: 'Change a profile: null removes, what is absent stays; answers with all of it to a key that may read',
        body: profilePatchSchema,
        response: { 200: profileSchema, 204: nothing },
      },
    },
    async (request, reply) => {
      const profile = await directory.patchProfile(request.params.userId, request.body);
      // An empty change would otherwise show the addresses to a key that may only send.
      if (!request.scopes.includes('read')) return reply.code(204).send(null);
      return profile;
    },
  );
}

function suppressionRoutes(server: Server, directory: Parts['directory']): void {
  const path = '/v1/users/:userId/suppressions/:channel';
  const common = { tags, params: suppressionParams, querystring: suppressionQuery };

  server.get(
    path,
    {
      config: { access: 'read', action: 'person.viewed' },
      schema: { ...common, summary: 'Why nothing is sent to a user’s address', response: { 200: suppressionSchema } },
    },
    async ({ params: { userId, channel }, query: { address } }) =>
      directory.suppression(userId, channel, address === undefined ? undefined : inlineAddress(channel, address)),
  );

  server.delete(
    path,
    {
      config: { access: 'admin', action: 'person.changed' },
      schema: { ...common, summary: 'Send to the address again', response: { 204: nothing } },
    },
    async ({ params: { userId, channel }, query: { address } }, reply) => {
      await directory.liftSuppression(userId, channel, address === undefined ? undefined : inlineAddress(channel, address));
      return reply.code(204).send(null);
    },
  );
}

/** Whose routes these are. */
export interface Whose {
  readonly path: '/v1/users/:userId' | '/v1/me';
  readonly params: z.ZodObject;
  /** Who may read, and who may write. */
  readonly access: { readonly read: Access; readonly write: Access };
  /** What the description says of each. */
  readonly schema: { readonly tags: readonly string[]; readonly security?: readonly { readonly [scheme: string]: readonly string[] }[] };
  readonly userOf: (request: Pick<FastifyRequest, 'params' | 'actor'>) => string;
}

/** A user's preferences and devices. */
export function wishRoutes(server: Server, directory: Parts['directory'], whose: Whose): void {
  preferenceRoutes(server, directory, whose);
  deviceRoutes(server, directory, whose);
}

function preferenceRoutes(server: Server, directory: Parts['directory'], { path, params, access, schema, userOf }: Whose): void {
  const viewed: Policy = { access: access.read, action: 'person.viewed' };
  const changed: Policy = { access: access.write, action: 'person.changed' };
  const common = { ...schema, params, response: { 200: preferencesSchema } };

  server.get(
    `${path}/preferences`,
    { config: viewed, schema: { ...common, summary: 'What a user wants to hear of, and where' } },
    async (request) => directory.preferences(userOf(request)),
  );
  server.put(
    `${path}/preferences`,
    { config: changed, bodyLimit: BODY_MAX_BYTES, schema: { ...common, summary: 'Replace preferences', body: preferencesSchema } },
    async (request) => directory.setPreferences(userOf(request), request.body),
  );
}

function deviceRoutes(server: Server, directory: Parts['directory'], { path, params, access, schema, userOf }: Whose): void {
  const viewed: Policy = { access: access.read, action: 'person.viewed' };
  const changed: Policy = { access: access.write, action: 'person.changed' };
  const common = { ...schema, params };

  server.get(
    `${path}/devices`,
    { config: viewed, schema: { ...common, summary: 'Devices of a user', response: { 200: devicePageSchema } } },
    async (request) => ({ data: await directory.devices(userOf(request)), nextCursor: null }),
  );
  server.post(
    `${path}/devices`,
    {
      config: changed,
      bodyLimit: BODY_MAX_BYTES,
      validatorCompiler: bodyCheckedByOwner,
      schema: {
        ...common,
        summary: 'Register a device; one that another user had moves here',
        body: deviceRegistrationSchema,
        response: { 200: deviceSchema },
      },
    },
    async (request) => {
      const device = await directory.addDevice(userOf(request), request.body);
      request.concerns = { ids: [device.id] };
      return device;
    },
  );
  server.delete(
    `${path}/devices/:deviceId`,
    {
      config: changed,
      schema: { ...common, params: params.extend({ deviceId: z.string() }), summary: 'Forget a device', response: { 204: nothing } },
    },
    async (request, reply) => {
      await directory.removeDevice(userOf(request), (request.params as { deviceId: string }).deviceId);
      return reply.code(204).send(null);
    },
  );
}
