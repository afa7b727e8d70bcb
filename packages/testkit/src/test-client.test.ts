import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { WebSocketServer } from 'ws';
import { TestClient } from './test-client.js';

let server: WebSocketServer;
let client: TestClient;
beforeEach(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  server.on('connection', (socket) => {
    socket.on('message', (data) => {
      const { type, requestId } = JSON.parse(data.toString());
      if (type === 'leave') return socket.close(3001, 'bye');
      socket.send(JSON.stringify({ type: 'aside' }));
      socket.send(JSON.stringify({ type: 'ok', requestId, to: type }));
    });
  });
  client = await TestClient.connect(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterEach(async () => {
  client.socket.terminate();
  await new Promise((resolve) => server.close(resolve));
});

test('a request gets its own answer', async () => {
  const answers = await Promise.all([client.request({ type: 'a' }), client.request({ type: 'b' })]);
  expect(answers.map((answer) => answer.to)).toEqual(['a', 'b']);
  expect(client.frames.map((frame) => frame.type)).toEqual(['aside', 'ok', 'aside', 'ok']);
});

test('next gives frames in order, those received before included, each once', async () => {
  await client.request({ type: 'a' });
  expect((await client.next()).type).toBe('aside');
  expect((await client.next('ok')).to).toBe('a');
  await expect(client.next('ok', 50)).rejects.toThrow('50 ms passed');
  const later = client.next('ok');
  client.send({ type: 'b' });
  expect((await later).to).toBe('b');
});

test('a socket that closes says why, and ends what waits', async () => {
  const waiting = expect(client.next()).rejects.toThrow('closed');
  client.send({ type: 'leave' });
  expect(await client.closed).toEqual({ code: 3001, reason: 'bye' });
  await waiting;
});
