import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Ports to choose from. They lie below those that systems lend to outgoing connections (Linux from 32768, macOS from 49152), so that a
 * server that restarts finds its port again.
 */
const PORTS = [20_000, 32_000] as const;
/** Ports to try before giving up. */
const ATTEMPTS = 100;

/** A loopback port nobody listens on at this moment, 20000–31999. Another process may take it before the caller does. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(...PORTS);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port among ${ATTEMPTS} tried from ${PORTS.join(' to ')}`);
}

/** Whether `port` can be listened on at this moment. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
