import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { type Certificate, makeCertificate, waitFor } from '@carillon/testkit';
import { afterEach, expect, test } from '@jest/globals';
import { createLog } from './log.js';
import { openTls, type Tls } from './tls.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const HOST = 'notify.example';
const lines: string[] = [];
const log = createLog({ level: 'info', name: 'test', write: (line) => lines.push(line) });

/** A folder with a pair in it. */
function folder(pair: Certificate = makeCertificate([HOST])) {
  const path = mkdtempSync(join(tmpdir(), 'carillon-tls-'));
  closers.push(() => rmSync(path, { recursive: true, force: true }));
  const files = { tlsCert: join(path, 'tls.crt'), tlsKey: join(path, 'tls.key') };
  write(files, pair);
  return { path, files, pair };
}
function write(files: { tlsCert: string; tlsKey: string }, { cert, key }: Certificate): void {
  writeFileSync(files.tlsCert, cert);
  writeFileSync(files.tlsKey, key);
}

/** An https server over the credentials. */
async function serve(tls: Tls): Promise<number> {
  const server: Server = createServer({ ...tls.credentials }, (_, response) => response.end('hello'));
  tls.onChange((credentials) => server.setSecureContext(credentials));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A connection that trusts only this certificate. */
function dial(port: number, ca: string, more: object = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', ca, servername: HOST, ...more }, () => resolve(socket));
    socket.once('error', reject);
    closers.push(() => socket.destroy());
  });
}
const isServed = (port: number, { cert }: Certificate) =>
  dial(port, cert).then(
    () => true,
    () => false,
  );

/** What is answered to a request on an open connection. */
function ask(socket: TLSSocket): Promise<string> {
  socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (part) => {
      text += part;
      if (text.includes('hello')) resolve(text);
    });
  });
}

function open(given: Parameters<typeof openTls>[0]): Tls {
  const tls = openTls(given, log);
  if (!tls) throw new Error('no TLS');
  closers.push(() => tls.close());
  return tls;
}

test('a certificate that is replaced is shown to who comes next; who is there stays', async () => {
  const { files, pair } = folder();
  const port = await serve(open(files));
  const early = await dial(port, pair.cert);
  const next = makeCertificate([HOST]);
  expect(await isServed(port, next)).toBe(false);
  write(files, next);
  await waitFor(() => isServed(port, next), { what: 'the new certificate' });
  expect(await isServed(port, pair)).toBe(false);
  expect(await ask(early)).toContain('200 OK');
});

test('a certificate behind a link that is swapped, as Kubernetes and certbot do it, is seen', async () => {
  const { path, pair } = folder();
  const version = (name: string, { cert, key }: Certificate) => {
    mkdirSync(join(path, name));
    write({ tlsCert: join(path, name, 'tls.crt'), tlsKey: join(path, name, 'tls.key') }, { cert, key });
    symlinkSync(name, join(path, `${name}.link`));
    renameSync(join(path, `${name}.link`), join(path, '..data'));
  };
  version('one', pair);
  const port = await serve(open({ tlsCert: join(path, '..data', 'tls.crt'), tlsKey: join(path, '..data', 'tls.key') }));
  const next = makeCertificate([HOST]);
  version('two', next);
  await waitFor(() => isServed(port, next), { what: 'the new certificate' });
});

test('what is no pair is told once, and the old one is served until it is one', async () => {
  const { files, pair } = folder();
  const port = await serve(open(files));
  const next = makeCertificate([HOST]);
  lines.length = 0;
  for (const broken of [next.cert, next.cert.slice(0, 200)]) {
    const before = lines.length;
    writeFileSync(files.tlsCert, broken);
    await waitFor(() => lines.length > before, { what: 'a warning' });
    expect(await isServed(port, pair)).toBe(true);
  }
  rmSync(files.tlsCert);
  await waitFor(() => lines.length > 2, { what: 'a warning' });
  expect(
    lines.map((line) => JSON.parse(line)).every(({ level, error }) => level === 'warn' && error.code === 'CONFIGURATION_INVALID'),
  ).toBe(true);
  expect(await isServed(port, pair)).toBe(true);
  write(files, next);
  await waitFor(() => isServed(port, next), { what: 'the new certificate' });
  expect(lines.join()).not.toContain(next.key.split('\n')[1]);
  expect(lines).toHaveLength(4);
});

test('TLS 1.1 is not spoken', async () => {
  const { files, pair } = folder();
  const port = await serve(open(files));
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
  await expect(dial(port, pair.cert, old)).rejects.toThrow();
  expect((await dial(port, pair.cert, { maxVersion: 'TLSv1.2' })).getProtocol()).toBe('TLSv1.2');
});

test('a pair may be given as it is; without one there is no TLS', async () => {
  const { cert, key } = makeCertificate([HOST]);
  const port = await serve(open({ tlsCert: cert, tlsKey: key }));
  expect(await isServed(port, { cert, key })).toBe(true);
  expect(openTls({ tlsCert: undefined, tlsKey: undefined }, log)).toBeUndefined();
});

const good = makeCertificate([HOST]);
test.each<[string, { tlsCert: string | undefined; tlsKey: string | undefined }, string]>([
  ['no key', { tlsCert: good.cert, tlsKey: undefined }, 'NOTIFICATION_TLS_KEY: is required with NOTIFICATION_TLS_CERT'],
  ['no certificate', { tlsCert: undefined, tlsKey: good.key }, 'NOTIFICATION_TLS_CERT: is required with NOTIFICATION_TLS_KEY'],
  ['no file', { tlsCert: '/nowhere', tlsKey: good.key }, 'NOTIFICATION_TLS_CERT: the file cannot be read (ENOENT)'],
  ['a folder', { tlsCert: good.cert, tlsKey: tmpdir() }, 'NOTIFICATION_TLS_KEY: the file cannot be read (EISDIR)'],
  ['no certificate in it', { tlsCert: good.key, tlsKey: good.key }, 'NOTIFICATION_TLS_CERT: holds no certificate that can be read'],
  [
    'no key in it',
    { tlsCert: good.cert, tlsKey: good.cert },
    'NOTIFICATION_TLS_KEY: holds no private key that can be read without a password',
  ],
  [
    'another key',
    { tlsCert: good.cert, tlsKey: makeCertificate([HOST]).key },
    'NOTIFICATION_TLS_KEY: is not the key of NOTIFICATION_TLS_CERT',
  ],
])('refuses %s', (_, given, message) => {
  expect(() => openTls(given, log)).toThrow(
    expect.objectContaining({ code: 'CONFIGURATION_INVALID', field: message.split(':')[0], message }),
  );
});
