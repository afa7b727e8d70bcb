// Socket.IO with its Redis adapter as their documentation advises it: sharded pub/sub, a channel for each room; a room for each user.
import { createServer } from 'node:http';
import { createTokenVerifier } from '@carillon/access';
import { createShardedAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { argument, serveRole } from '../role.js';

const [publishing, subscribing] = [new Redis(argument('redisUrl')), new Redis(argument('redisUrl'))];
const { verify } = createTokenVerifier({ jwtSecret: argument('jwtSecret') });
const http = createServer();
const server = new Server(http, {
  adapter: createShardedAdapter(publishing, subscribing),
  transports: ['websocket'],
  serveClient: false,
});
server.use((socket, next) => {
  verify(socket.handshake.auth.token).then(({ userId }) => {
    socket.data.userId = userId;
    next();
  }, next);
});
server.on('connection', (socket) => socket.join(socket.data.userId));
http.listen(Number(argument('socketPort')), '127.0.0.1', () => serveRole());
