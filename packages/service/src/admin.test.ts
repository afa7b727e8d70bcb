import { afterEach, expect, test } from '@jest/globals';
import { serveAdmin } from './admin.js';
import { createMetrics } from './metrics.js';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function serve(ready: () => Promise<boolean>) {
  const server = await serveAdmin({ port: 0, metrics: createMetrics(), ready });
  open.push(server);
  return (path: string, method = 'GET') => fetch(`http://127.0.0.1:${server.port}${path}`, { method });
}

test('alive, ready and metrics', async () => {
  const get = await serve(async () => true);
  expect((await get('/healthz')).status).toBe(200);
  expect((await get('/readyz')).status).toBe(200);
  const metrics = await get('/metrics');
  expect(metrics.headers.get('content-type')).toContain('text/plain');
  expect(await metrics.text()).toContain('carillon_connections 0');
  expect((await get('/')).status).toBe(404);
  expect((await get('/healthz', 'POST')).status).toBe(405);
});

test('alive but not ready: no, a failing check, a check that hangs', async () => {
  const no = await serve(async () => false);
  expect((await no('/healthz')).status).toBe(200);
  expect((await no('/readyz')).status).toBe(503);
  const failing = await serve(() => Promise.reject(new Error('away')));
  expect((await failing('/readyz')).status).toBe(503);
  const hanging = await serve(() => new Promise(() => {}));
  expect((await hanging('/readyz')).status).toBe(503);
});

test('a port that is taken is a wrong setting', async () => {
  const server = await serveAdmin({ port: 0, metrics: createMetrics(), ready: async () => true });
  open.push(server);
  await expect(serveAdmin({ port: server.port, metrics: createMetrics(), ready: async () => true })).rejects.toMatchObject({
    code: 'CONFIGURATION_INVALID',
  });
});
