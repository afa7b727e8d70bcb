import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { noLog, openTls } from '@carillon/service';
import { makeCertificate, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { startGateway, tokenFor } from '../test/harness.js';

/** The first frame of a socket opened by trusting one certificate only. */
async function authenticate(port: number, ca: string): Promise<{ socket: WebSocket; type: string }> {
  const token = await tokenFor('anna');
  const socket = new WebSocket(`wss://localhost:${port}`, { ca });
  return new Promise((resolve, reject) => {
    socket.once('open', () => socket.send(JSON.stringify({ type: 'authenticate', token })));
    socket.once('message', (data) => resolve({ socket, type: (JSON.parse(String(data)) as { type: string }).type }));
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}

test('sockets are encrypted by the configured certificate; a new one is served from when it lies there, and open sockets live on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-tls-'));
  const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const [first, second] = [makeCertificate(['localhost', '127.0.0.1']), makeCertificate(['localhost', '127.0.0.1'])];
  const put = ({ cert, key }: typeof first) => {
    writeFileSync(tlsCert, cert);
    writeFileSync(tlsKey, key);
  };
  put(first);
  const tls = openTls({ tlsCert, tlsKey }, noLog);
  const { listener, append, stop } = await startGateway({ options: { tls } });
  try {
    const old = await authenticate(listener.port, first.cert);
    expect(old.type).toBe('authenticated');
    await expect(authenticate(listener.port, second.cert)).rejects.toThrow();
    put(second);
    const fresh = await waitFor(() => authenticate(listener.port, second.cert).catch(() => undefined), { what: 'the new certificate' });
    expect(fresh.type).toBe('authenticated');
    const heard = new Promise((resolve) => old.socket.on('message', (data) => String(data).includes('"new"') && resolve('heard')));
    await append('anna');
    expect(await heard).toBe('heard');
    old.socket.terminate();
    fresh.socket.terminate();
  } finally {
    tls?.close();
    await stop();
    rmSync(folder, { recursive: true });
  }
});

test('TLS before 1.2 is refused', async () => {
  const { cert, key } = makeCertificate(['localhost']);
  const tls = openTls({ tlsCert: cert, tlsKey: key }, noLog);
  const { listener, stop } = await startGateway({ options: { tls } });
  const shake = (maxVersion: 'TLSv1.1' | 'TLSv1.2') =>
    new Promise((resolve) => {
      const socket = connect({
        port: listener.port,
        host: '127.0.0.1',
        ca: cert,
        servername: 'localhost',
        minVersion: 'TLSv1',
        maxVersion,
        ciphers: 'DEFAULT@SECLEVEL=0',
      });
      socket.once('secureConnect', () => resolve(socket.getProtocol()));
      socket.once('error', () => resolve('refused'));
    });
  expect(await shake('TLSv1.2')).toBe('TLSv1.2');
  expect(await shake('TLSv1.1')).toBe('refused');
  await stop();
});
