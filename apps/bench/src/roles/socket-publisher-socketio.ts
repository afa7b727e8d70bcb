// A second Socket.IO node, without clients, that emits to the rooms of the first through the adapter.
import { createShardedAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { argument, serveRole } from '../role.js';
import { publisherAsks } from '../sockets/publishing.js';

// What is published in one tick leaves in one write, as the yardstick's pipeline does.
const publishing = new Redis(argument('redisUrl'), { enableAutoPipelining: true });
const subscribing = new Redis(argument('redisUrl'));
const server = new Server({ adapter: createShardedAdapter(publishing, subscribing) });

serveRole(
  await publisherAsks(
    async (messages) => {
      for (const one of messages) server.to(one.userId).emit('notification', one);
    },
    Number(argument('users')),
  ),
);
