import { randomUUID } from 'node:crypto';
import type { Route } from '../src/policy.js';
import { APPOINTMENT, PUBLIC_URL, type RunningApi, request, signEvents } from './running-api.js';

/** A request that a route answers well, but for its proof of who sends it. */
export interface Sample {
  readonly url: string;
  readonly payload?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The user the samples are about. */
export const ANN = 'auth0|ann';
/** What stands in her inbox and her profile, and is nobody else's business. */
export const SECRET = 'secretofann';
const ann = encodeURIComponent(ANN);
const JSON_TYPE = { 'content-type': 'application/json' };
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' };
/** What a page of the board sends with what changes something. */
const FROM_HERE = { host: 'carillon.example', origin: 'http://carillon.example' };

type Make = (running: RunningApi) => Promise<Sample> | Sample;

/** One good request for each route. Each makes what it needs, so they may run in any order and again. */
export const samples: Readonly<Record<string, Make>> = {
  ...plain('GET', ['/', '/healthz', '/readyz', '/metrics', '/openapi.json', '/v1/templates', '/v1/partials', '/v1/failed', '/v1/audit']),
  ...plain('GET', [
    '/admin/login',
    '/admin/logout',
    '/admin/session',
    '/preview/mail',
    '/admin/queues/api/queues',
    '/admin/queues/api/job-schedulers',
  ]),
  ...plain('GET', ['/docs', '/docs/errors', '/docs/reference.js', '/favicon.ico']),
  'GET /v1/users/:userId/deliveries': () => ({ url: `/v1/users/${ann}/deliveries` }),
  'GET /open/:code': async ({ openings, parts }) => {
    const key = parts.apiKeys.find('test-key');
    if (!key) throw new Error('there is no key of the tests');
    return { url: await openings.issue(key) };
  },
  ...plain('GET', ['/v1/me/preferences', '/v1/me/devices']),
  'POST /v1/notifications': () => ({ url: '/v1/notifications', payload: request() }),
  'POST /v1/notifications/bulk': () => ({ url: '/v1/notifications/bulk', payload: { notifications: [request(), request()] } }),
  'GET /v1/notifications/:id': async (running) => ({ url: `/v1/notifications/${await queued(running)}` }),
  'DELETE /v1/notifications/:id': async (running) => ({ url: `/v1/notifications/${await queued(running)}` }),
  'POST /v1/notifications/cancel': async (running) => {
    const cancellationKey = randomUUID();
    await running.parts.producer.as('samples').queueNotification(request({ cancellationKey }));
    return { url: '/v1/notifications/cancel', payload: { cancellationKey } };
  },
  'PUT /v1/templates/:id': () => ({ url: '/v1/templates/appointment', payload: APPOINTMENT }),
  'GET /v1/templates/:id': () => ({ url: '/v1/templates/appointment' }),
  'DELETE /v1/templates/:id': async ({ parts }) => {
    const { id } = await parts.templates.register({ ...APPOINTMENT, id: `t-${randomUUID()}` });
    return { url: `/v1/templates/${id}` };
  },
  'POST /v1/templates/:id/preview': () => ({ url: '/v1/templates/appointment/preview', payload: { data: { therapistName: 'Dr. Kay' } } }),
  'PUT /v1/partials/:id': () => ({ url: '/v1/partials/foot', payload: { html: '<p>Bye</p>' } }),
  'GET /v1/partials/:id': async ({ parts }) => {
    await parts.templates.registerPartial({ id: 'foot', html: '<p>Bye</p>' });
    return { url: '/v1/partials/foot' };
  },
  'DELETE /v1/partials/:id': async ({ parts }) => {
    const { id } = await parts.templates.registerPartial({ id: `p-${randomUUID()}`, html: '<p>Bye</p>' });
    return { url: `/v1/partials/${id}` };
  },
  ...inboxes('/v1/users/:userId', `/v1/users/${ann}`),
  ...inboxes('/v1/me', '/v1/me'),
  'POST /v1/users/:userId/notifications/:id/read': async (running) => ({
    url: `/v1/users/${ann}/notifications/${await delivered(running)}/read`,
  }),
  'POST /v1/tokens': () => ({ url: '/v1/tokens', payload: { userId: ANN } }),
  'GET /v1/users/:userId': () => ({ url: `/v1/users/${ann}` }),
  'PUT /v1/users/:userId': () => ({ url: `/v1/users/${ann}`, payload: { email: `${SECRET}@clinic.example` } }),
  'PATCH /v1/users/:userId': () => ({ url: `/v1/users/${ann}`, payload: { locale: 'de' } }),
  'GET /v1/users/:userId/suppressions/:channel': async (running) => ({ url: await stopped(running) }),
  'DELETE /v1/users/:userId/suppressions/:channel': async (running) => ({ url: await stopped(running) }),
  ...wishes(`/v1/users/:userId`, `/v1/users/${ann}`),
  ...wishes('/v1/me', '/v1/me'),
  'POST /v1/users/:userId/revoke-tokens': () => ({ url: '/v1/users/revoked/revoke-tokens' }),
  'DELETE /v1/users/:userId': () => ({ url: '/v1/users/leaver' }),
  'GET /v1/users/:userId/export': () => ({ url: `/v1/users/${ann}/export` }),
  'GET /v1/erasures/:id': async ({ parts }) => {
    const { erasureId } = await parts.erasures.erase('leaver', { type: 'system', name: 'samples' });
    return { url: `/v1/erasures/${erasureId}` };
  },
  'POST /v1/failed/retry': () => ({ url: '/v1/failed/retry', payload: { code: 'JOB_LOST' } }),
  'POST /v1/providers/:provider/events': async ({ deliveries }) => {
    const id = randomUUID();
    const common = { userId: ANN, templateId: 't', templateVersion: 'v', channels: ['email' as const], createdAt: Date.now() };
    await deliveries.create([{ id, ...common }]);
    await deliveries.settle([{ id, channel: 'email', status: 'sent', attempts: 1, provider: 'pigeon' }]);
    const payload = JSON.stringify([{ eventId: randomUUID(), ref: id, status: 'delivered', at: Date.now() }]);
    const url = '/v1/providers/pigeon/events';
    return { url, payload, headers: { ...JSON_TYPE, 'x-signature': signEvents(PUBLIC_URL + url, payload) } };
  },
  'GET /unsubscribe/:token': (running) => ({ url: unsubscribe(running) }),
  'POST /unsubscribe/:token': (running) => ({ url: unsubscribe(running) }),
  'GET /preview/mail/:id': async (running) => ({ url: `/preview/mail/${await previewed(running)}` }),
  'GET /preview/mail/:id/html': async (running) => ({ url: `/preview/mail/${await previewed(running)}/html` }),
  'POST /admin/login': () => ({ url: '/admin/login', payload: 'key=test-key', headers: { ...FORM_TYPE, ...FROM_HERE } }),
  'POST /admin/logout': () => ({ url: '/admin/logout', payload: '', headers: { ...FORM_TYPE, ...FROM_HERE } }),
  ...board(),
};

/** A good request for a route; HEAD asks like GET. @throws if there is no sample for it */
export async function sampleFor(running: RunningApi, { method, url }: Pick<Route, 'method' | 'url'>): Promise<Sample> {
  const make = samples[`${method === 'HEAD' ? 'GET' : method} ${url}`];
  if (!make) throw new Error(`there is no sample for ${method} ${url}`);
  return make(running);
}

function plain(method: string, urls: readonly string[]): Record<string, Make> {
  return Object.fromEntries(urls.map((url) => [`${method} ${url}`, () => ({ url })]));
}

function inboxes(route: string, path: string): Record<string, Make> {
  return {
    [`GET ${route}/notifications`]: () => ({ url: `${path}/notifications` }),
    [`GET ${route}/unread-count`]: () => ({ url: `${path}/unread-count` }),
    [`PATCH ${route}/notifications/:id`]: async (running) => ({
      url: `${path}/notifications/${await delivered(running)}`,
      payload: { seen: true, read: true, archived: true },
    }),
    [`DELETE ${route}/notifications/:id`]: async (running) => ({ url: `${path}/notifications/${await delivered(running)}` }),
    [`POST ${route}/notifications/read-all`]: () => ({ url: `${path}/notifications/read-all` }),
    [`POST ${route}/read-all`]: () => ({ url: `${path}/read-all` }),
  };
}

function wishes(route: string, path: string): Record<string, Make> {
  const device = () => ({ fcm: { fid: `installation-${randomUUID()}` } });
  return {
    [`GET ${route}/preferences`]: () => ({ url: `${path}/preferences` }),
    [`PUT ${route}/preferences`]: () => ({ url: `${path}/preferences`, payload: { channels: { email: false } } }),
    [`GET ${route}/devices`]: () => ({ url: `${path}/devices` }),
    [`POST ${route}/devices`]: () => ({ url: `${path}/devices`, payload: device() }),
    [`DELETE ${route}/devices/:deviceId`]: async ({ directory }) => ({
      url: `${path}/devices/${(await directory.addDevice(ANN, device())).id}`,
    }),
  };
}

function board(): Record<string, Make> {
  const base = '/admin/queues';
  const api = `${base}/api/queues`;
  const pages = ['', '/', '/metrics-history', '/job-schedulers'].map((page) => `${base}${page}`);
  const reads = ['metrics', 'default-job-options', 'rate-limit', 'job-data-schema'];
  const acts = ['pause', 'resume', 'promote'];
  const put = (url: string): Sample => ({ url, headers: FROM_HERE });
  return {
    ...plain('GET', pages),
    [`GET ${base}/queue/:queueName`]: () => ({ url: `${base}/queue/render-0` }),
    [`GET ${base}/queue/:queueName/:jobId`]: () => ({ url: `${base}/queue/render-0/1` }),
    ...Object.fromEntries(reads.map((what) => [`GET ${api}/:queueName/${what}`, () => ({ url: `${api}/render-0/${what}` })])),
    ...Object.fromEntries(acts.map((what) => [`PUT ${api}/:queueName/${what}`, () => put(`${api}/render-0/${what}`)])),
    ...Object.fromEntries(['pause', 'resume'].map((what) => [`PUT ${api}/${what}`, () => put(`${api}/${what}`)])),
    ...Object.fromEntries(
      ['', '/logs', '/flow'].map((what) => [
        `GET ${api}/:queueName/:jobId${what}`,
        async (running) => ({ url: `${await failedJob(running)}${what}` }),
      ]),
    ),
    ...Object.fromEntries(
      ['retry', 'clean'].map((what) => [
        `PUT ${api}/:queueName/:jobId/${what}`,
        async (running) => put(`${await failedJob(running)}/${what}`),
      ]),
    ),
    [`PUT ${api}/:queueName/:jobId/promote`]: async ({ parts }) => {
      const queue = parts.queues().find(({ name }) => name === 'email-0');
      const job = await queue?.add('email', { v: 1, ids: [], tries: 0 }, { delay: 3_600_000 });
      return put(`${api}/email-0/${job?.id}/promote`);
    },
    [`PUT ${api}/:queueName/retry/:queueStatus`]: () => put(`${api}/render-0/retry/failed`),
    [`PUT ${api}/:queueName/clean/:queueStatus`]: () => put(`${api}/render-0/clean/failed`),
  };
}

/** A job in the failed set of the queue for SMS, with whatever somebody might have written into one; gives its path at the board. */
export async function failedJob({ parts, redis }: RunningApi, secret = 'secret'): Promise<string> {
  const queue = parts.queues().find(({ name }) => name === 'sms-0');
  if (!queue) throw new Error('there is no queue for SMS');
  const id = randomUUID();
  const data = { v: 1, ids: [id], tries: 2, sealed: secret, owners: [secret], note: secret };
  const job = await queue.add('sms', data, { jobId: id, delay: 1, attempts: 3 });
  await job.log(secret);
  const failedAt = `${Date.now()}`;
  await redis.command('ZREM', queue.toKey('delayed'), id);
  await redis.command('HSET', queue.toKey(id), 'failedReason', `PROVIDER_REFUSED: ${secret}`, 'finishedOn', failedAt);
  const stack = `PROVIDER_REFUSED: ${secret}\n${secret}\n    at send (file:///app/send.js:1:2)`;
  await redis.command('HSET', queue.toKey(id), 'stacktrace', JSON.stringify([stack]), 'returnvalue', JSON.stringify(secret));
  await redis.command('ZADD', queue.toKey('failed'), failedAt, id);
  return `/admin/queues/api/queues/sms-0/${id}`;
}

const queued = ({ parts }: RunningApi) => parts.producer.as('samples').queueNotification(request({ userId: ANN }));

async function delivered({ inbox }: RunningApi): Promise<string> {
  const id = randomUUID();
  const common = { userId: ANN, templateId: 'appointment', priority: 'normal' as const, channels: ['in_app' as const] };
  await inbox.append([{ ...common, id, createdAt: Date.now(), content: { title: 'Hi', body: SECRET }, data: {} }]);
  return id;
}

async function stopped({ directory }: RunningApi): Promise<string> {
  await directory.suppress('email', 'stopped@clinic.example', { reason: 'complaint', provider: 'pigeon' });
  return `/v1/users/${ann}/suppressions/email?address=stopped%40clinic.example`;
}

const unsubscribe = ({ directory }: RunningApi) =>
  `/unsubscribe/${directory.unsubscribeToken({ userId: ANN, channel: 'email', category: 'news' })}`;

async function previewed({ previews }: RunningApi): Promise<string> {
  const id = `email-${randomUUID()}`;
  await previews.add([
    {
      id,
      userId: 'ann',
      channel: 'email',
      to: 'ann@clinic.example',
      content: { subject: 's', html: '<p>x</p>', text: 'x' },
      at: Date.now(),
    },
  ]);
  return id;
}
