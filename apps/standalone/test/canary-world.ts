import { createECDH } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  overhear,
  redirectPreload,
  redisFiles,
  redisValues,
  type SpawnedProcess,
  spawnProcess,
  startFcm,
  startRedis,
  startSendGrid,
  startSmtp,
  startTwilio,
  startWebPush,
} from '@carillon/testkit';
import { expect } from '@jest/globals';
import { Canaries, type CanaryClass, Evidence } from './canaries.js';
import { apiKey, end, environmentOf, openStores, startStandalone } from './system.js';

/** Lines of redis.conf with which texts lie in its files as they are. */
export const plainly = { config: ['rdbcompression no'] };
/** Where the system is said to be reached from outside. */
export const publicUrl = 'https://notify.clinic.example';
const apiMain = fileURLToPath(new URL('../dist/api.js', import.meta.url));

export type World = Awaited<ReturnType<typeof openWorld>>;

/** Redis, providers and an empty system, with an ear everywhere. What it starts is ended through `later`. */
export async function openWorld(later: (end: () => unknown) => void) {
  const canaries = new Canaries();
  const evidence = new Evidence();
  const redis = await startRedis(plainly);
  later(() => redis.stop());
  const heard = await overhear(redis);
  later(heard.close);
  const hears = (place: string, read = (body: string) => body) => ({
    heard: (head: string, body: string) => evidence.add(place, `${head}\n\n${read(body)}`),
  });
  const sendgrid = await startSendGrid(hears('SendGrid'));
  later(() => sendgrid.close());
  const fcm = await startFcm(hears('FCM'));
  later(() => fcm.close());
  const webPush = await startWebPush(hears('Web Push'));
  later(() => webPush.close());
  const twilio = await startTwilio(hears('Twilio', (form) => decodeURIComponent(form.replaceAll('+', ' '))));
  later(() => twilio.close());
  const smtp = await startSmtp({ heard: (text) => evidence.add('SMTP', text) });
  later(() => smtp.close());
  const site = createECDH('prime256v1');
  const vapidPublicKey = site.generateKeys().toString('base64url');
  const place = { redisUrl: redis.url };
  const stores = await openStores(place);
  later(() => stores.close());
  const settings = {
    LOG_LEVEL: 'debug',
    // Among the files of Redis, so that it is searched with them.
    NOTIFICATION_AUDIT_SINK: `file:${join(redis.dir, 'audit')}`,
    SENDGRID_API_KEY: sendgrid.apiKey,
    SENDGRID_BASE_URL: sendgrid.baseUrl,
    SENDGRID_WEBHOOK_PUBLIC_KEY: sendgrid.events.publicKey,
    EMAIL_FROM_ADDRESS: 'clinic@clinic.example',
    SMTP_URL: smtp.url,
    NOTIFICATION_EMAIL_PROVIDERS: 'sendgrid,smtp',
    VAPID_PUBLIC_KEY: vapidPublicKey,
    VAPID_PRIVATE_KEY: site.getPrivateKey().toString('base64url'),
    VAPID_SUBJECT: 'mailto:clinic@clinic.example',
    FIREBASE_SERVICE_ACCOUNT: fcm.serviceAccount,
    TWILIO_ACCOUNT_SID: twilio.accountSid,
    TWILIO_AUTH_TOKEN: twilio.authToken,
    TWILIO_FROM: '+15005550006',
    NOTIFICATION_PUBLIC_URL: publicUrl,
    NODE_OPTIONS: `--import=${redirectPreload({ ...fcm.redirects, ...webPush.redirects, ...twilio.redirects })}`,
  };
  const processes: SpawnedProcess[] = [];
  /** What must have been seen in a place, by place: the proof that it was looked at. */
  const controls: [place: RegExp, text: string][] = [];
  const world = {
    ...{ canaries, evidence, redis, sendgrid, smtp, fcm, webPush, vapidPublicKey, twilio, stores, controls, http: '', sockets: '' },
    /** All roles in one process, or the API alone. */
    async start(more: Record<string, string> = {}) {
      const started = await startStandalone(place, { ...settings, ...more });
      processes.push(started.process);
      later(() => end(started.process));
      Object.assign(world, { http: started.http, sockets: started.sockets });
      return started.process;
    },
    async startApiAlone() {
      const process = spawnProcess(apiMain, { env: { ...environmentOf(place), ...settings } });
      processes.push(process);
      later(() => end(process));
      const [, port] = await process.ready(/"port":(\d+)[^\n]*api listening|api listening[^\n]*"port":(\d+)/);
      world.http = `http://127.0.0.1:${port}`;
      return process;
    },
    /** Asks over HTTP with the API key; where the answer is no person's own, it is evidence. */
    async ask(seenAs: string | undefined, method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
      const response = await fetch(world.http + path, {
        method,
        headers: { authorization: `Bearer ${apiKey}`, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      if (seenAs !== undefined) evidence.add(seenAs, `${JSON.stringify([...response.headers])}\n${text}`);
      return { status: response.status, text };
    },
    /** Queues one and gives its id. */
    async queue(request: object): Promise<string> {
      const { status, text } = await world.ask('answers', 'POST', '/v1/notifications', request);
      expect([status, text]).toEqual([202, expect.any(String)]);
      return JSON.parse(text).id;
    },
    /** Looks everywhere; `when` is for the report. */
    async look(when: string) {
      for (const [key, value] of await redisValues(stores.redis)) evidence.add(`Redis (${when})`, `${key} ${value}`);
      await world.ask('metrics', 'GET', '/metrics');
      await world.ask('failed list', 'GET', '/v1/failed');
      await world.ask('audit trail', 'GET', '/v1/audit?limit=100');
      await walkBoard(world);
    },
    /** Ends the process that was started last, and waits until it is gone. */
    async die(signal: NodeJS.Signals = 'SIGKILL') {
      processes.at(-1)?.kill(signal);
      await processes.at(-1)?.exited;
    },
    /** Answers the places in which something is not that must be. */
    unseen() {
      return controls.flatMap(([where, text]) => (evidence.holds(where, text) ? [] : [`${where} holds no ${text}`]));
    },
    async lookAtLeftovers() {
      for (const [name, bytes] of await redisFiles(redis)) evidence.add(`file ${name}`, bytes);
      evidence.add('commands', heard.heard());
      for (const process of processes) evidence.add('output', process.output());
    },
  };
  return world;
}

const STATES = ['active', 'waiting', 'prioritized', 'delayed', 'failed', 'completed', 'paused', 'waiting-children', 'latest'];
const BOARD = '/admin/queues';

/** Every page of Bull Board and what it asks for: the queues, and each job in each state. */
async function walkBoard(world: World): Promise<void> {
  const names = (JSON.parse((await world.ask('board', 'GET', `${BOARD}/api/queues`)).text).queues as { name: string }[]).map(
    ({ name }) => name,
  );
  expect(names.length).toBeGreaterThan(3);
  await world.ask('board', 'GET', `${BOARD}/`);
  for (const path of ['redis/stats', 'job-schedulers']) await world.ask('board', 'GET', `${BOARD}/api/${path}`);
  for (const name of names) {
    await world.ask('board', 'GET', `${BOARD}/queue/${encodeURIComponent(name)}`);
    const jobs = new Set<string>();
    for (const status of STATES) {
      const query = new URLSearchParams({ activeQueue: name, status, page: '1', jobsPerPage: '100' });
      const { text } = await world.ask('board', 'GET', `${BOARD}/api/queues?${query}`);
      const queue = (JSON.parse(text).queues as { name: string; jobs?: { id: string }[] }[] | undefined)?.find((one) => one.name === name);
      for (const { id } of queue?.jobs ?? []) {
        jobs.add(id);
        world.controls.push([/^board, job$/, id]);
      }
    }
    for (const id of jobs) {
      const job = `${encodeURIComponent(name)}/${encodeURIComponent(id)}`;
      await world.ask('board', 'GET', `${BOARD}/queue/${job}`);
      for (const more of ['', '/logs', '/flow']) await world.ask('board, job', 'GET', `${BOARD}/api/queues/${job}${more}`);
    }
  }
}

export const phone = (digits: string) => `+43${digits}`;
const grouped = (digits: string) => [Number(digits).toLocaleString('en-US'), Number(digits).toLocaleString('de-AT')];

/** A request with a canary in each of its fields. `who` is in their names. */
export function request({ canaries }: World, who: string, more: object = {}) {
  const text = (name: string, of: CanaryClass = 'request') => canaries.text(`${name} (${who})`, of);
  const data = {
    diagnosis: text('data.diagnosis', 'phi'),
    dose: Number(canaries.digits(`data.dose (${who})`, 'phi', grouped)),
    therapist: text('data.therapist', 'pii'),
    clinic: text('data.clinic', 'public'),
    [text('a name in data', 'inner')]: text('a value in data', 'inner'),
    nested: [{ [text('a nested name in data', 'inner')]: text('a nested value in data', 'inner') }],
  };
  return {
    userId: who,
    templateId: 'visit',
    data,
    category: text('category', 'inner'),
    threadId: text('threadId', 'inner'),
    tags: [text('tags', 'inner')],
    url: `https://clinic.example/${text('url')}?q=${text('query of url')}`,
    cancellationKey: text('cancellationKey', 'inner'),
    idempotencyKey: text('idempotencyKey', 'inner'),
    ...more,
  };
}

/** Says something of each class where it may be said. */
export const visit = {
  title: 'About {{diagnosis}}',
  body: 'Take {{dose}} against {{diagnosis}}, says {{therapist}} of {{clinic}}.',
  channels: ['in_app', 'email', 'push', 'sms'],
  fields: {
    diagnosis: { type: 'text', class: 'phi' },
    dose: { type: 'number', class: 'phi' },
    therapist: { type: 'text', class: 'pii' },
    clinic: { type: 'text', class: 'public' },
  },
  email: {
    subject: 'News from {{clinic}}',
    html: '<p>{{therapist}} of {{clinic}} has written.</p>',
    text: '{{therapist}} of {{clinic}} has written.',
  },
  push: { title: 'News', body: 'From {{clinic}}.' },
  sms: { text: 'News from {{clinic}}.' },
};

/** A request for somebody who is known by inline addresses only, and those. */
export function stranger(world: World, who: string) {
  const to = {
    email: `${world.canaries.text(`to.email (${who})`, 'person')}@clinic.example`,
    phone: phone(world.canaries.digits(`to.phone (${who})`, 'person')),
  };
  return { to, asked: request(world, who, { to }) };
}
