import { createApiKeys } from '@carillon/access';
import { noAudit } from '@carillon/audit';
import { expect, test } from '@jest/globals';
import fastify from 'fastify';
import { createGate, guard } from './guard.js';
import type { Access } from './policy.js';
import { sendProblem } from './problem.js';
import { trail } from './trail.js';
import type { Server } from './validation.js';

/** A server with a route for each kind of access, and no door but those of the guard. */
async function serve(): Promise<Server> {
  const server = fastify() as unknown as Server;
  const metrics = { authenticationFailed() {}, render: async () => '', contentType: '' };
  const verifyToken = async () => ({ userId: 'ann', expiresAt: Date.now() + 1000, issuedAt: 1 });
  const revocations = { revoke: async () => {}, since: async () => [0] };
  server.setErrorHandler((error, _request, reply) => sendProblem(error, reply));
  guard(
    server,
    createGate({ metrics, rateApi: 1 }),
    { current: async () => undefined },
    { apiKeys: createApiKeys('all:key'), verifyToken, revocations, metrics },
  );
  trail(server, noAudit);
  const kinds: Access[] = ['send', 'anyKey', 'token', 'session', 'signature', 'anybody'];
  for (const access of kinds) server.post(`/${access}`, { config: { access, action: 'none' } }, async ({ actor }) => actor);
  return server;
}

test('a route behind a door that was forgotten lets nobody in', async () => {
  const server = await serve();
  const post = (url: string, authorization: string) => server.inject({ method: 'POST', url, headers: { authorization }, payload: {} });
  expect((await post('/session', 'Bearer key')).json()).toMatchObject({ code: 'UNAUTHORIZED', status: 401 });
  expect((await post('/nothing', 'Bearer key')).statusCode).toBe(404);
});

test('each request has the actor that was proven for it, and none that came before', async () => {
  const server = await serve();
  const ask = async (access: Access, headers = {}) => (await server.inject({ method: 'POST', url: `/${access}`, headers })).json();
  const authorization = 'Bearer key';
  expect(await ask('send', { authorization })).toEqual({ type: 'key', name: 'all' });
  expect(await ask('anyKey', { authorization })).toEqual({ type: 'key', name: 'all' });
  expect(await ask('token', { authorization })).toEqual({ type: 'user', name: 'ann' });
  for (const access of ['signature', 'anybody'] as const)
    expect(await ask(access, { authorization })).toEqual({ type: 'anybody', name: '' });
});
