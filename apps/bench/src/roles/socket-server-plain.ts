// The plain yardstick: ws, a token checked by jose at connect, one Redis channel per user. No log, no offsets, no heartbeat.
import { createTokenVerifier } from '@carillon/access';
import { Redis } from 'ioredis';
import { type WebSocket, WebSocketServer } from 'ws';
import { argument, serveRole } from '../role.js';

const redis = new Redis(argument('redisUrl'));
const { verify } = createTokenVerifier({ jwtSecret: argument('jwtSecret') });
const socketsOf = new Map<string, Set<WebSocket>>();

redis.on('message', (channel, text) => {
  for (const socket of socketsOf.get(channel) ?? []) socket.send(text);
});

async function welcome(socket: WebSocket, hello: string): Promise<void> {
  const { userId } = await verify(JSON.parse(hello).token);
  const channel = `user:${userId}`;
  const sockets = socketsOf.get(channel) ?? new Set();
  socketsOf.set(channel, sockets.add(socket));
  socket.on('close', () => {
    sockets.delete(socket);
    if (sockets.size === 0 && socketsOf.delete(channel)) void redis.unsubscribe(channel);
  });
  if (sockets.size === 1) await redis.subscribe(channel);
  socket.send('{"type":"authenticated"}');
}

const server = new WebSocketServer({ port: Number(argument('socketPort')), host: '127.0.0.1', clientTracking: false });
server.on('connection', (socket) => {
  socket.on('error', () => socket.terminate());
  socket.once('message', (data) => {
    welcome(socket, data.toString()).catch(() => socket.terminate());
  });
});
server.once('listening', () => serveRole());
