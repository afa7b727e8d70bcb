import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@carillon/embedded';
import { makeCertificate } from './certificate.js';
import { startRedis, type TestRedis } from './redis.js';

/** A server that speaks TLS, with users of its own. Made by startSecureRedis; call `stop` when done. */
export interface SecureRedis extends TestRedis {
  /** PEM file of the authority that signed its certificate. */
  readonly caFile: string;
  /** `rediss://` address by which a user reaches it. */
  secureUrl(user: string, password: string): string;
}

/**
 * Starts a Redis that also listens with TLS, by a certificate of its own for 127.0.0.1. `config` are lines of redis.conf, such as `user …`.
 * `url` stays the plain address of the all-powerful default user, for a test to look in.
 */
export async function startSecureRedis({ config = [] }: { config?: readonly string[] } = {}): Promise<SecureRedis> {
  const { key, cert } = makeCertificate(['127.0.0.1', 'localhost']);
  const folder = mkdtempSync(join(tmpdir(), `carillon-redis-${process.pid}-tls-`));
  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  const certFile = file('cert.pem', cert);
  const port = await freePort();
  const lines = [`tls-port ${port}`, `tls-cert-file ${certFile}`, `tls-key-file ${file('key.pem', key)}`, `tls-ca-cert-file ${certFile}`];
  const server = await startRedis({ config: [...lines, 'tls-auth-clients no', ...config] });
  const secureUrl = (user: string, password: string) => `rediss://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}`;
  // Not a spread: `pid` is another after a restart.
  return Object.assign(Object.create(server), { caFile: certFile, secureUrl }) as SecureRedis;
}
