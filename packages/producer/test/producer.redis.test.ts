import { randomBytes, randomUUID } from 'node:crypto';
import type { AuditEvent } from '@carillon/audit';
import { createDeliveries, type Deliveries } from '@carillon/deliveries';
import { connectProducer, createProducer, type Producer } from '@carillon/producer';
import { createStageQueue, queueName, renderStage } from '@carillon/queue';
import { createRedis, type Redis } from '@carillon/redis';
import { createTemplates, type Templates } from '@carillon/templates';
import { startRedis, waitFor } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';

const vault = await memoryVault();
let server: Awaited<ReturnType<typeof startRedis>>;
let redis: Redis;
let templates: Templates;
let deliveries: Deliveries;
let producer: Producer;

beforeAll(async () => {
  server = await startRedis();
  redis = await createRedis({ url: server.url }, { prefix: 'producer-test:', temper: 'prompt' });
  templates = await createTemplates(redis);
  deliveries = createDeliveries({ redis, retention: 3600_000 });
  await templates.register({
    id: 't',
    title: 'Hello {{name}}',
    body: 'b',
    channels: ['in_app', 'email'],
    priority: 'high',
    category: 'care',
  });
  producer = createProducer({ redis, vault, templates, deliveries, partitions: 1 });
});
afterAll(async () => {
  await producer?.close();
  await templates?.close();
  await redis?.close();
  await server?.stop();
});
beforeEach(async () => {
  for (const key of await redis.command<string[]>('KEYS', 'producer-test:{render*')) await redis.command('DEL', key);
});

const request = (more: object = {}) => ({ userId: 'u', templateId: 't', data: { name: 'Ada' }, ...more });
/** All jobs that wait, opened. */
const queued = async () => {
  const stage = createStageQueue({ redis, vault }, renderStage, queueName('render', 0));
  const jobs = await stage.queue.getJobs(['prioritized', 'wait']);
  const opened = await Promise.all(jobs.map(async (job) => (await stage.read(job.data)).items));
  await stage.queue.close();
  return opened;
};

test('one call is one job, with what the template adds, and a record before the answer', async () => {
  const id = await producer.queueNotification(request({ tags: ['x'] }));
  const jobs = await queued();
  expect(jobs).toHaveLength(1);
  expect(jobs[0]).toEqual([
    {
      id,
      userId: 'u',
      templateId: 't',
      templateVersion: (await templates.get('t')).version,
      data: { name: 'Ada' },
      channels: ['in_app', 'email'],
      priority: 'high',
      category: 'care',
      tags: ['x'],
      createdAt: expect.any(Number),
    },
  ]);
  const record = await deliveries.get(id);
  expect(record.status).toBe('pending');
  expect(record.deliveries.map(({ channel, status }) => [channel, status])).toEqual([
    ['in_app', 'pending'],
    ['email', 'pending'],
  ]);
});

test('callers that come together leave in few jobs, each with its own id', async () => {
  const ids = await Promise.all(Array.from({ length: 500 }, () => producer.queueNotification(request())));
  expect(new Set(ids).size).toBe(500);
  const jobs = await queued();
  expect(jobs.length).toBeLessThanOrEqual(8);
  expect(
    jobs
      .flat()
      .map(({ id }) => id)
      .sort(),
  ).toEqual([...ids].sort());
});

test('a caller may use its object again at once', async () => {
  const data = { name: '' };
  const ids = ['ann', 'bob', 'eve'].map((name) => {
    data.name = name;
    return producer.queueNotification(request({ userId: name, data }));
  });
  await Promise.all(ids);
  const items = (await queued()).flat();
  expect(items.map(({ userId, data: { name } }) => [userId, name]).sort()).toEqual([
    ['ann', 'ann'],
    ['bob', 'bob'],
    ['eve', 'eve'],
  ]);
});

test('priorities do not share a job', async () => {
  await Promise.all([
    producer.queueNotification(request({ priority: 'urgent' })),
    producer.queueNotification(request({ priority: 'low' })),
  ]);
  expect((await queued()).map((job) => job.length)).toEqual([1, 1]);
});

test('a list gives each its own result, and the bad one harms nobody', async () => {
  const results = await producer.queueNotifications([request(), request({ data: {} }), request({ templateId: 'none' }), request()]);
  expect(results.map((result) => (result.ok ? 'ok' : [result.error.code, result.error.field]))).toEqual([
    'ok',
    ['TEMPLATE_DATA_MISSING', 'data.name'],
    ['TEMPLATE_NOT_FOUND', 'templateId'],
    'ok',
  ]);
  expect((await queued()).flat()).toHaveLength(2);
});

test('the same key and request give one id and one job; another request is refused; another caller is another matter', async () => {
  const first = await producer.queueNotification(request({ idempotencyKey: 'k1' }));
  expect(await producer.queueNotification({ ...request({ idempotencyKey: 'k1' }) })).toBe(first);
  expect((await queued()).flat()).toHaveLength(1);
  await expect(producer.queueNotification(request({ idempotencyKey: 'k1', data: { name: 'Bob' } }))).rejects.toMatchObject({
    code: 'IDEMPOTENCY_MISMATCH',
    field: 'idempotencyKey',
  });
  expect(await producer.as('other').queueNotification(request({ idempotencyKey: 'k1' }))).not.toBe(first);
  expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('a repeat is answered whatever has become of the template', async () => {
  const definition = { id: 'moving', title: 'Hi {{name}}', body: 'b', channels: ['in_app'] };
  await templates.register(definition);
  const repeat = () => producer.queueNotification(request({ templateId: 'moving', idempotencyKey: 'k4' }));
  const id = await repeat();
  await templates.register({ ...definition, body: '{{more}}' });
  expect(await repeat()).toBe(id);
  await templates.remove('moving');
  expect(await repeat()).toBe(id);
  expect((await queued()).flat()).toHaveLength(1);
  await expect(producer.queueNotification(request({ templateId: 'moving', idempotencyKey: 'k5' }))).rejects.toMatchObject({
    code: 'TEMPLATE_NOT_FOUND',
  });
});

test('two requests with one key at the same time: one is queued, the other refused', async () => {
  const results = await producer.queueNotifications([
    request({ idempotencyKey: 'k3' }),
    request({ idempotencyKey: 'k3', data: { name: 'Bob' } }),
  ]);
  expect(results.map((result) => (result.ok ? 'ok' : result.error.code))).toEqual(['ok', 'IDEMPOTENCY_MISMATCH']);
  expect((await queued()).flat()).toHaveLength(1);
});

test('a key whose first try did not get as far as the queue is queued by the next', async () => {
  const id = await producer.queueNotification(request({ idempotencyKey: 'k2' }));
  const entry = await redis.command<string>('GET', redis.keys.idempotency(id));
  await redis.command('SET', redis.keys.idempotency(id), entry.replace(/:queued$/, ''));
  expect(await producer.queueNotification(request({ idempotencyKey: 'k2' }))).toBe(id);
  expect((await queued()).flat().map((item) => item.id)).toEqual([id, id]);
});

test('nothing of a request is readable in Redis', async () => {
  await producer.queueNotification(request({ data: { name: 'CANARY-9d' } }));
  const dump: string[] = [];
  for (const key of await redis.command<string[]>('KEYS', '*')) {
    if ((await redis.command('TYPE', key)) === 'hash') dump.push(...(await redis.command<string[]>('HGETALL', key)));
  }
  expect(dump.join(' ')).not.toContain('CANARY-9d');
});

test('while Redis has no memory left callers are told so, and when to come back', async () => {
  await redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
  await expect(producer.queueNotification(request())).rejects.toMatchObject({ code: 'QUEUE_FULL', retryAfter: expect.any(Number) });
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  await producer.queueNotification(request());
});

test('while Redis is away callers are told at once, and served again when it is back', async () => {
  await server.kill();
  await waitFor(() => !redis.isReady(), { what: 'the loss to be noticed' });
  const before = Date.now();
  await expect(producer.queueNotification(request())).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE', verdict: 'retry' });
  expect(Date.now() - before).toBeLessThan(1000);
  await server.restart();
  await waitFor(() => producer.queueNotification(request()).catch(() => undefined), { what: 'Redis to be back' });
});

test('a Redis that hangs makes the outcome unknown, and the id is told', async () => {
  server.pause();
  try {
    const results = await producer.queueNotifications([request(), request()]);
    for (const result of results) {
      expect(result.ok).toBe(false);
      expect(['QUEUE_UNAVAILABLE', 'QUEUE_OUTCOME_UNKNOWN']).toContain(!result.ok && result.error.code);
    }
  } finally {
    server.resume();
  }
});

test('after closing nothing is taken', async () => {
  const mine = createProducer({ redis, vault, templates, deliveries, partitions: 1 });
  await mine.close();
  await expect(mine.queueNotification(request())).rejects.toMatchObject({ code: 'SERVICE_CLOSED' });
});

test('a backend connects with an address and the keys, and has the verbs it needs', async () => {
  const keys = `k:${randomBytes(32).toString('base64')}`;
  const backend = await connectProducer({ redisUrl: server.url, redisPrefix: 'backend-test:', encryptionKeys: keys });
  await backend.registerTemplate({ id: 't', title: 'Hello {{name}}', body: 'b', channels: ['in_app'] });
  expect(await backend.queueNotification(request())).toMatch(/^[0-9a-f-]{36}$/);
  expect(await backend.queueNotifications([request({ data: {} })])).toMatchObject([
    { ok: false, error: { code: 'TEMPLATE_DATA_MISSING' } },
  ]);
  await backend.close();
  await backend.close();
  await expect(connectProducer({ redisUrl: server.url, encryptionKeys: '' })).rejects.toMatchObject({
    code: 'CONFIGURATION_INVALID',
    field: 'encryptionKeys',
  });
  const others = `k:${randomBytes(32).toString('base64')}`;
  await expect(connectProducer({ redisUrl: server.url, redisPrefix: 'backend-test:', encryptionKeys: others })).rejects.toMatchObject({
    code: 'SEAL_BROKEN',
  });
});

test('the audit hears who queued what and who canceled it, and nothing of what was not queued', async () => {
  const heard: AuditEvent[] = [];
  const audit = { note: (event: AuditEvent) => heard.push({ ...event, ids: [...(event.ids ?? [])] }), keep: async () => undefined };
  const own = await createProducer({ redis, vault, templates, deliveries, partitions: 1, audit });
  const clinic = own.as('clinic');
  const [a, b] = (await Promise.all([clinic.queueNotification(request()), own.queueNotification(request())])) as [string, string];
  const keyed = await clinic.queueNotification(request({ idempotencyKey: 'audited' }));
  await clinic.queueNotification(request({ idempotencyKey: 'audited' }));
  await expect(clinic.queueNotification(request({ data: {} }))).rejects.toMatchObject({ code: 'TEMPLATE_DATA_MISSING' });
  await clinic.cancel(a);
  await own.cancel({ id: b });
  await deliveries.settle((['in_app', 'email'] as const).map((channel) => ({ id: keyed, channel, status: 'sent', attempts: 1 })));
  expect(await clinic.cancel(keyed)).toEqual({ canceled: [], alreadySent: [keyed] });
  expect(await clinic.cancel({ cancellationKey: 'of nothing' })).toEqual({ canceled: [], alreadySent: [] });
  await expect(clinic.cancel(randomUUID())).rejects.toMatchObject({ code: 'NOTIFICATION_NOT_FOUND' });
  await own.close();
  const told = (type: string, name: string, action: string, ids: string[], about?: object) =>
    expect.objectContaining({ actor: { type, name }, action, ids, ...(about && { about }) });
  expect(heard).toEqual([
    told('key', 'clinic', 'notification.queued', [a]),
    told('system', 'library', 'notification.queued', [b]),
    told('key', 'clinic', 'notification.queued', [keyed]),
    told('key', 'clinic', 'notification.canceled', [a]),
    told('system', 'library', 'notification.canceled', [b]),
    told('key', 'clinic', 'notification.canceled', [keyed], { stopped: 0 }),
    told('key', 'clinic', 'notification.canceled', [], { stopped: 0 }),
  ]);
});
