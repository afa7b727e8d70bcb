// The plain yardstick's publisher: one channel per user, a batch in one round trip; `stored` also keeps what it publishes.
import { Redis } from 'ioredis';
import { argument, serveRole } from '../role.js';
import { publisherAsks } from '../sockets/publishing.js';

const redis = new Redis(argument('redisUrl'));
const stored = argument('stored') === 'true';

serveRole(
  await publisherAsks(
    async (messages) => {
      const pipeline = redis.pipeline();
      for (const one of messages) {
        const text = JSON.stringify(one);
        if (stored) pipeline.hset(`notifications:${one.userId}`, one.id, text);
        pipeline.publish(`user:${one.userId}`, `{"type":"notification","data":${text}}`);
      }
      await pipeline.exec();
    },
    Number(argument('users')),
  ),
);
