import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { makeCertificate } from './certificate.js';
import { spawnProcess } from './process.js';
import { type RedirectTable, redirectHosts, redirectPreload } from './redirect.js';

const HOST = 'api.provider.test';
let server: http2.Http2SecureServer;
let table: RedirectTable;
const undo: (() => void)[] = [];

beforeAll(async () => {
  const { key, cert } = makeCertificate([HOST]);
  server = http2.createSecureServer({ key, cert, allowHTTP1: true }, (request, response) => {
    const { servername } = request.socket as tls.TLSSocket & { servername: string };
    response.end(`${request.httpVersion} ${servername} ${request.url}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  table = { [HOST]: { port: (server.address() as AddressInfo).port, ca: cert } };
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
afterEach(() => {
  for (const back of undo.splice(0)) back();
});

const byHttps = (host: string, options: https.RequestOptions = {}) =>
  new Promise<string>((resolve, reject) => {
    const request = https.get(`https://${host}/path`, { agent: false, ...options }, (response) => {
      response.setEncoding('utf8').once('data', resolve);
    });
    request.once('error', reject);
  });

const byHttp2 = (host: string) =>
  new Promise<string>((resolve, reject) => {
    const session = http2.connect(`https://${host}`);
    session.once('error', reject);
    const stream = session.request({ ':path': '/path' });
    stream.setEncoding('utf8').once('data', (text: string) => {
      session.close();
      resolve(text);
    });
  });

test('https, http2 and fetch reach the stand-in under the name of the host', async () => {
  undo.push(redirectHosts(table));
  expect(await byHttps(HOST)).toBe(`1.1 ${HOST} /path`);
  const agent = new https.Agent({ keepAlive: true });
  expect(await byHttps(HOST, { agent })).toBe(`1.1 ${HOST} /path`);
  agent.destroy();
  expect(await byHttp2(HOST)).toBe(`2.0 ${HOST} /path`);
  expect(await (await fetch(`https://${HOST}/path`, { headers: { connection: 'close' } })).text()).toBe(`1.1 ${HOST} /path`);
});

test('a certificate for another name is refused', async () => {
  undo.push(redirectHosts({ 'other.provider.test': table[HOST] as RedirectTable[string] }));
  await expect(byHttps('other.provider.test')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
});

test('other hosts and ports are left alone, and all is as before once it is undone, in any order', async () => {
  const before = tls.connect;
  const [first, second] = [redirectHosts(table), redirectHosts({ 'other.provider.test': table[HOST] as RedirectTable[string] })];
  const { port } = server.address() as AddressInfo;
  await expect(byHttps('127.0.0.1', { port })).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  first();
  await expect(byHttps(HOST)).rejects.toMatchObject({ code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) });
  expect(tls.connect).not.toBe(before);
  second();
  expect(tls.connect).toBe(before);
});

test('a spawned process is redirected by a preload', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-redirect-'));
  const script = join(folder, 'script.mjs');
  writeFileSync(
    script,
    `import https from 'node:https';
https.get('https://${HOST}/path', { agent: false }, (response) => response.pipe(process.stdout));`,
  );
  try {
    const spawned = spawnProcess(script, { imports: [redirectPreload(table)] });
    await spawned.ready(`1.1 ${HOST} /path`);
    expect(await spawned.exited).toEqual({ code: 0, signal: null });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
