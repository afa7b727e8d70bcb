import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { WebSocketServer } from 'ws';
import { clientFrame, opcodes, readFrames, readHead, Wire } from './wire.js';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
beforeAll(() => once(server, 'listening'));
afterAll(async () => {
  for (const client of server.clients) client.terminate();
  server.close();
  await once(server, 'close');
});

function serverFrame(opcode: number, text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = payload.length < 126 ? payload.length : head.length === 4 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(payload.length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

test('frames are read whole, of every length, and what is broken off is left', () => {
  const texts = ['', 'a', 'b'.repeat(125), 'c'.repeat(126), 'd'.repeat(65_535), 'e'.repeat(65_536)];
  const all = Buffer.concat(texts.map((text) => serverFrame(opcodes.text, text)));
  const heard: string[] = [];
  const hear = (_opcode: number, bytes: Buffer, start: number, end: number) => heard.push(bytes.toString('latin1', start, end));
  expect(readFrames(all, hear)).toBe(all.length);
  expect(heard).toEqual(texts);

  const [short, long] = [serverFrame(opcodes.text, 'one'), serverFrame(opcodes.text, 'x'.repeat(300))];
  for (let cut = 0; cut < long.length; cut++) {
    heard.length = 0;
    expect(readFrames(Buffer.concat([short, long.subarray(0, cut)]), hear)).toBe(short.length);
    expect(heard).toEqual(['one']);
  }
});

test('the head tells status and how long to stay away', () => {
  expect(readHead('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n')).toEqual({ status: 101, retryAfter: 0 });
  expect(readHead('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n')).toEqual({
    status: 503,
    retryAfter: 2000,
  });
});

test('a wire and a real server understand each other', async () => {
  const { port } = server.address() as AddressInfo;
  const texts: string[] = [];
  const closed = new Promise<unknown>((resolve) => {
    const frame = (_opcode: number, bytes: Buffer, start: number, end: number) => texts.push(bytes.toString('utf8', start, end));
    const wire = new Wire({ port, path: '/', from: '127.0.0.2', frame, opened: () => wire.send('y'.repeat(200)), closed: resolve });
  });
  const [socket] = await once(server, 'connection');
  const ponged = once(socket, 'pong');
  expect(String((await once(socket, 'message'))[0])).toBe('y'.repeat(200));
  socket.send('z'.repeat(100_000));
  socket.send('short');
  socket.ping('are you there');
  expect(String((await ponged)[0])).toBe('are you there');
  expect(texts.map((text) => text.length)).toEqual([100_000, 5]);
  socket.close(3008);
  expect(await closed).toBeUndefined();
});

test('a wire tells that it was refused', async () => {
  const http = createServer();
  http.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n'));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  const refused = await new Promise((resolve) => {
    new Wire({ port, path: '/', from: '127.0.0.1', frame: () => {}, opened: () => {}, closed: resolve });
  });
  expect(refused).toEqual({ status: 503, retryAfter: 1000 });
  http.close();
});

test('a client frame longer than a client sends is refused', () => {
  expect(() => clientFrame(opcodes.text, Buffer.alloc(65_536))).toThrow(RangeError);
});
