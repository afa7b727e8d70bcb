import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApi } from '../src/index.js';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';
import { sampleFor } from './samples.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
  await running.parts.templates.register({ id: 'appointment', title: 'Appointment', body: 'With {{therapistName}}', channels: ['in_app'] });
});
afterAll(() => running.close());

const isStatic = (url: string) => url.startsWith('/admin/queues/static');

test('every answer, good or refused, cannot be framed, guessed at, kept or told to others', async () => {
  for (const { method, url } of await running.api.routes()) {
    const sample = isStatic(url) ? { url: '/admin/queues/static/images/logo.svg' } : await sampleFor(running, { method, url });
    const { payload, headers: given = {} } = sample;
    for (const proof of [AUTHORIZED, {}, { authorization: 'Bearer wrong' }]) {
      const options = { method: method as 'GET', url: sample.url, headers: { ...given, ...proof }, remoteAddress: '192.0.2.1' };
      const { headers } = await running.api.inject({ ...options, ...(payload !== undefined && { payload }) });
      const said = [method, url, headers['x-content-type-options'], headers['x-powered-by']];
      expect(said).toEqual([method, url, 'nosniff', undefined]);
      expect(headers['referrer-policy']).toMatch(/^(no-referrer|same-origin)$/);
      expect(headers['content-security-policy']).toMatch(/frame-ancestors '(none|self)'/);
      expect(headers['x-frame-options']).toMatch(url.endsWith('/html') ? /^(SAMEORIGIN|DENY)$/ : /^DENY$/);
      if (!isStatic(url)) expect([method, url, headers['cache-control']]).toEqual([method, url, 'no-store']);
    }
  }
});

test('browsers are told to stay with https only where we are reached by it', async () => {
  const get = (api: Pick<RunningApi['api'], 'inject'>) => api.inject({ method: 'GET', url: '/healthz' });
  expect((await get(running.api)).headers['strict-transport-security']).toBe('max-age=31536000');
  const plain = createApi({ ...running.parts, publicUrl: () => 'http://localhost:8080' }, { port: 0 });
  expect((await get(plain)).headers['strict-transport-security']).toBeUndefined();
  await plain.close();
});

test('over HTTP each is said once; what is no request, no path and no route has them too', async () => {
  for (const url of ['/nothing', '/%']) {
    const { headers } = await running.api.inject({ method: 'GET', url });
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
  }
  const { port } = await running.api.listen();
  const page = await fetch(`http://127.0.0.1:${port}/admin/login`);
  expect(page.headers.get('content-security-policy')?.match(/default-src/g)).toHaveLength(1);
  const socket = connect(port, '127.0.0.1').end('no HTTP\r\n\r\n');
  let answer = '';
  for await (const part of socket) answer += part;
  expect(answer).toContain('x-content-type-options: nosniff\r\n');
  expect(answer).toContain('cache-control: no-store\r\n');
});
