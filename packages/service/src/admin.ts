import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CarillonError } from '@carillon/contracts';
import { within } from './deadline.js';
import type { PrometheusMetrics } from './metrics.js';

/** Milliseconds a readiness check may take before it counts as "not ready": probes give up after a few seconds. */
const READY_MAX = 2000;

/** Whether `ready` says yes, in time. A check that fails says no. */
export async function isReady(ready: () => Promise<boolean>): Promise<boolean> {
  try {
    return await within(READY_MAX, ready());
  } catch {
    return false;
  }
}

/**
 * Serves `/healthz` (200 while the process answers), `/readyz` (200 or 503) and `/metrics` on a port of its own (0 takes any free one).
 * There is no key: the port belongs inside the network. Close it when done.
 *
 * @throws CONFIGURATION_INVALID if the port cannot be had.
 */
export async function serveAdmin(options: {
  port: number;
  metrics: Pick<PrometheusMetrics, 'render' | 'contentType'>;
  ready: () => Promise<boolean>;
}): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    respond(request, response, options).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new CarillonError('CONFIGURATION_INVALID', { message: `NOTIFICATION_ADMIN_PORT: port ${options.port} cannot be used`, cause }),
      );
    });
    server.listen(options.port, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { metrics, ready }: { metrics: Pick<PrometheusMetrics, 'render' | 'contentType'>; ready: () => Promise<boolean> },
): Promise<void> {
  const say = (status: number, body: string, type = 'text/plain; charset=utf-8') =>
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    say(405, 'method not allowed\n');
    return;
  }
  switch (request.url?.split('?')[0]) {
    case '/healthz':
      say(200, 'ok\n');
      return;
    case '/readyz': {
      const yes = await isReady(ready);
      say(yes ? 200 : 503, yes ? 'ready\n' : 'not ready\n');
      return;
    }
    case '/metrics':
      say(200, await metrics.render(), metrics.contentType);
      return;
    default:
      say(404, 'not found\n');
  }
}
