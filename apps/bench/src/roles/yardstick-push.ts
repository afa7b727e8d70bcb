// The yardstick: one push per job, through the SDK.
import { Worker } from 'bullmq';
import { cert, initializeApp } from 'firebase-admin/app';
import { getMessaging } from 'firebase-admin/messaging';
import { Redis } from 'ioredis';
import { argument, serveRole } from '../role.js';

const messaging = getMessaging(initializeApp({ credential: cert(JSON.parse(process.env.FIREBASE_SERVICE_ACCOUNT ?? '{}')) }));

const worker = new Worker(
  'send',
  async ({ data: { device, title, body } }) => {
    await messaging.send({ token: device, notification: { title, body } });
  },
  { connection: new Redis(argument('redisUrl'), { maxRetriesPerRequest: null }), concurrency: Number(argument('concurrency')) },
);
await worker.waitUntilReady();
serveRole();
