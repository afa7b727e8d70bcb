import { randomUUID } from 'node:crypto';
import { createReceive, type Receipt, type Receiver } from '@carillon/channel';
import { createDeliveries } from '@carillon/deliveries';
import { createRedis } from '@carillon/redis';
import { startRedis } from '@carillon/testkit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApi } from '../src/index.js';
import { PUBLIC_URL, type RunningApi, signEvents, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

const PATH = '/v1/providers/pigeon/events';
const post = (payload: string | Buffer, signature: string, { url = PATH, type = 'application/json' } = {}) =>
  running.api.inject({ method: 'POST', url, payload, headers: { 'content-type': type, 'x-signature': signature } });
const signed = (payload: string, path = PATH) => signEvents(PUBLIC_URL + path, payload);

/** A sent mail, and what its provider says of it. */
async function sent(changes: Partial<Receipt> = {}) {
  const id = randomUUID();
  const common = { userId: 'u', templateId: 't', templateVersion: 'v', channels: ['email' as const], createdAt: Date.now() };
  await running.deliveries.create([{ id, ...common }]);
  await running.deliveries.settle([{ id, channel: 'email', status: 'sent', attempts: 1, provider: 'pigeon' }]);
  const receipt: Receipt = { eventId: randomUUID(), ref: id, status: 'delivered', at: Date.now(), ...changes };
  const status = async () => (await running.deliveries.get(id)).deliveries[0]?.status;
  return { id, status, body: JSON.stringify([receipt]) };
}

test('a signed report moves the delivery on, and the provider hears that it was taken', async () => {
  const { body, status } = await sent();
  const answer = await post(body, signed(body));
  expect(answer.statusCode).toBe(204);
  expect(answer.body).toBe('');
  expect(await status()).toBe('delivered');
  expect((await post(body, signed(body))).statusCode).toBe(204);
});

test('the bytes and the whole address are what is signed, whatever the content type', async () => {
  const { status, body } = await sent();
  const spaced = ` ${body}\n`;
  const path = `${PATH}?a=1&b=%20x`;
  for (const type of ['text/plain', 'application/x-www-form-urlencoded; charset=utf-8', 'application/json']) {
    expect((await post(spaced, signed(spaced, path), { url: path, type })).statusCode).toBe(204);
  }
  expect(await status()).toBe('delivered');
});

test('a report over a socket may lack a content type', async () => {
  const { port } = await running.api.listen();
  const { status, body } = await sent();
  const answer = await fetch(`http://127.0.0.1:${port}${PATH}`, {
    method: 'POST',
    body: Buffer.from(body),
    headers: { 'x-signature': signed(body) },
  });
  expect(answer.status).toBe(204);
  expect(await status()).toBe('delivered');
});

test('a forged report changes nothing and is counted', async () => {
  const { id, status, body } = await sent({ status: 'bounced', suppress: 'bounced', address: 'ada@clinic.example' });
  const forgeries = [
    () => post(body, 'made up'),
    () => post(body, signed(`${body} `)),
    () => post(body.replace('bounced', 'delivered'), signed(body)),
    () => post(body, signed(body), { url: `${PATH}?more` }),
    () => post('', 'made up'),
  ];
  for (const forge of forgeries) {
    const answer = await forge();
    expect(answer.statusCode).toBe(401);
    expect(answer.json()).toMatchObject({ code: 'SIGNATURE_INVALID' });
  }
  expect(await status()).toBe('sent');
  expect((await running.deliveries.get(id)).deliveries[0]?.reason).toBeNull();
  await running.directory.setProfile('ada', { email: 'ada@clinic.example' });
  await expect(running.directory.suppression('ada', 'email')).rejects.toMatchObject({ code: 'SUPPRESSION_NOT_FOUND' });
  expect(await running.metrics.render()).toMatch(/^carillon_authentication_failures_total\{where="webhook",code="SIGNATURE_INVALID"\} 5/m);
});

test('an answer the provider wants is given', async () => {
  const path = '/v1/providers/talkative/events';
  const answer = await post('[]', signed('[]', path), { url: path });
  expect(answer.statusCode).toBe(200);
  expect(answer.headers['content-type']).toContain('text/xml');
  expect(answer.body).toBe('<Response/>');
});

test.each(['nobody', 'constructor', '__proto__', 'toString'])('there is no provider %s', async (provider) => {
  const answer = await post('[]', 'x', { url: `/v1/providers/${provider}/events` });
  expect(answer.statusCode).toBe(404);
  expect(answer.json()).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
});

test('a report of 4 MiB is read, one of 6 is not', async () => {
  const large = `[]${' '.repeat(4 * 1024 * 1024)}`;
  expect((await post(large, signed(large))).statusCode).toBe(204);
  const answer = await post(Buffer.alloc(6 * 1024 * 1024), 'x');
  expect(answer.statusCode).toBe(413);
  expect(answer.json()).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
});

test('of a provider whose reports are small, nothing larger is looked at', async () => {
  let read = 0;
  const small: Receiver = { channel: 'sms', maxBytes: 100, read: () => [][read++] ?? [] };
  const api = createApi({ ...running.parts, receivers: { small } }, { port: 0 });
  const answer = (bytes: number) => api.inject({ method: 'POST', url: '/v1/providers/small/events', payload: Buffer.alloc(bytes) });
  expect((await answer(100)).statusCode).toBe(204);
  expect((await answer(101)).json()).toMatchObject({ status: 413, code: 'PAYLOAD_TOO_LARGE' });
  expect(read).toBe(1);
  await api.close();
});

test('while Redis is away the provider is told to come back', async () => {
  const server = await startRedis();
  const redis = await createRedis({ url: server.url }, { prefix: 'away:', temper: 'prompt' });
  const { vault } = running;
  const receive = createReceive({ deliveries: createDeliveries({ redis, retention: 1000 }), directory: running.directory, vault });
  const api = createApi({ ...running.parts, receive }, { port: 0 });
  try {
    await server.kill();
    const { body } = await sent();
    const headers = { 'content-type': 'application/json', 'x-signature': signed(body) };
    const answer = await api.inject({ method: 'POST', url: PATH, payload: body, headers });
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ code: 'REDIS_UNAVAILABLE' });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  } finally {
    await api.close();
    await redis.close();
    await server.stop();
  }
});
