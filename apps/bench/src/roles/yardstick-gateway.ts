// The yardstick: hands on what is published for a user to the user's sockets. A token is the user's name.
import { Redis } from 'ioredis';
import { type WebSocket, WebSocketServer } from 'ws';
import { argument, serveRole } from '../role.js';

const redis = new Redis(argument('redisUrl'));
const socketsOf = new Map<string, Set<WebSocket>>();

redis.on('message', (channel, message) => {
  for (const socket of socketsOf.get(channel) ?? []) socket.send(`{"type":"notification","data":${message}}`);
});

const server = new WebSocketServer({ port: Number(argument('socketPort')), host: '127.0.0.1' });
server.on('connection', (socket) => {
  socket.once('message', async (data) => {
    const channel = `user:${JSON.parse(data.toString()).token}`;
    const sockets = socketsOf.get(channel) ?? new Set();
    socketsOf.set(channel, sockets.add(socket));
    socket.on('close', () => sockets.delete(socket));
    if (sockets.size === 1) await redis.subscribe(channel);
    socket.send(JSON.stringify({ type: 'authenticated' }));
  });
});
server.once('listening', () => serveRole());
