import { createDeliveries } from '@carillon/deliveries';
import { createRedis } from '@carillon/redis';
import { startRedis, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { createApi } from '../src/index.js';
import { AUTHORIZED, startApi } from './running-api.js';

test('while Redis is away the answer is 503 with a time to come back; alive, not ready', async () => {
  const running = await startApi();
  const server = await startRedis();
  const redis = await createRedis({ url: server.url }, { prefix: 'notification:', temper: 'prompt' });
  const deliveries = createDeliveries({ redis, retention: 1000 });
  const api = createApi({ ...running.parts, deliveries, ready: async () => redis.isReady() }, { port: 0 });
  const get = (url: string) => api.inject({ method: 'GET', url, headers: AUTHORIZED });
  try {
    expect((await get('/readyz')).statusCode).toBe(200);
    await server.kill();
    await waitFor(async () => (await get('/readyz')).statusCode === 503, { what: 'readiness to be withdrawn' });
    expect((await get('/healthz')).statusCode).toBe(200);
    const answer = await get('/v1/notifications/018f0000-0000-7000-8000-000000000000');
    expect(answer.statusCode).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(answer.json()).toMatchObject({ code: 'REDIS_UNAVAILABLE' });
  } finally {
    await api.close();
    await redis.close();
    await server.stop();
    await running.close();
  }
});
