import { expect, test } from '@jest/globals';
import fastify from 'fastify';
import { requirePolicies } from './policy.js';

test('a server with a route that does not say who may use it does not start', async () => {
  const server = fastify();
  requirePolicies(server);
  server.get('/v1/good', { config: { access: 'read', action: 'inbox.viewed' } }, async () => 'good');
  server.get('/v1/forgotten', async () => 'forgotten');
  await expect(server.ready()).rejects.toMatchObject({ code: 'INTERNAL', message: expect.stringContaining('GET /v1/forgotten') });
});

test('routes of a plugin count too, and half a policy is none', async () => {
  const server = fastify();
  requirePolicies(server);
  server.register(async (inner) => {
    inner.post('/v1/half', { config: { access: 'send' } }, async () => 'half');
  });
  await expect(server.ready()).rejects.toMatchObject({ message: expect.stringContaining('POST /v1/half') });
});

test('the routes are told with their policies', async () => {
  const server = fastify({ exposeHeadRoutes: false });
  const routes = requirePolicies(server);
  server.get('/v1/good', { config: { access: 'read', action: 'inbox.viewed' } }, async () => 'good');
  await server.ready();
  expect(routes()).toEqual([{ method: 'GET', url: '/v1/good', access: 'read', action: 'inbox.viewed' }]);
});
