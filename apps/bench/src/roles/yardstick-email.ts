// The yardstick: one mail per job, through the SDK.
import sendGrid from '@sendgrid/mail';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { argument, serveRole } from '../role.js';

const { EMAIL_FROM_ADDRESS: from = '', SENDGRID_API_KEY: key = '', SENDGRID_BASE_URL: baseUrl = '' } = process.env;
const client = sendGrid as unknown as { client: { setDefaultRequest(name: 'baseUrl', value: string): void } };
sendGrid.setApiKey(key);
client.client.setDefaultRequest('baseUrl', baseUrl);

const worker = new Worker(
  'send',
  async ({ data: { to, title, body } }) => {
    await sendGrid.send({ to, from, subject: title, text: body });
  },
  { connection: new Redis(argument('redisUrl'), { maxRetriesPerRequest: null }), concurrency: Number(argument('concurrency')) },
);
await worker.waitUntilReady();
serveRole();
