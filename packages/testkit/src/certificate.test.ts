import { X509Certificate } from 'node:crypto';
import { createServer, get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { makeCertificate } from './certificate.js';

test('a certificate is valid now, signed by itself, and for the hosts it names only', () => {
  const { cert } = makeCertificate(['fcm.example.com', 'a-second.example.org', '127.0.0.1']);
  const read = new X509Certificate(cert);
  expect(read.verify(read.publicKey)).toBe(true);
  expect(read.checkHost('fcm.example.com')).toBe('fcm.example.com');
  expect(read.checkHost('a-second.example.org')).toBeDefined();
  expect(read.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(read.checkHost('other.example.com')).toBeUndefined();
  expect(Date.parse(read.validFrom)).toBeLessThan(Date.now());
  expect(Date.parse(read.validTo)).toBeGreaterThan(Date.now());
});

test('a certificate may name very many hosts', () => {
  const hosts = Array.from({ length: 2000 }, (_, i) => `host-${i}.example.com`);
  expect(new X509Certificate(makeCertificate(hosts).cert).checkHost('host-1999.example.com')).toBeDefined();
});

test('a TLS client that trusts it connects, and refuses another name', async () => {
  const made = makeCertificate(['api.example.com']);
  const server = createServer(made, (_, response) => response.end('hello')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const call = (servername: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port, servername, ca: made.cert, agent: false }, (response) => resolve(response.resume().statusCode)).on(
        'error',
        reject,
      );
    });
  await expect(call('api.example.com')).resolves.toBe(200);
  await expect(call('other.example.com')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  server.close();
});
