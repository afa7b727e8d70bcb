import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  freePort,
  makeCertificate,
  type SpawnedProcess,
  spawnProcess,
  startRedis,
  TestClient,
  type TestRedis,
  waitFor,
} from '@carillon/testkit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Follower, type RunningProxy, startProxy } from './docker-proxy.js';
import { ask, end, endings, environmentOf, greet, hello, startRole } from './system.js';

const later = endings('all');
/** Milliseconds between a gateway's pings of a socket (`pingEveryMs`), and what more makes it certain that one has come. */
const PING_EVERY = 25_000;
const AND_MORE = 5_000;
const CLIENTS = 20;

let redis: TestRedis;
let proxy: RunningProxy;
let http: string;
let sockets: string;
const gateways: { port: number; admin: number; process: SpawnedProcess }[] = [];

const isReady = (admin: number) =>
  waitFor(async () => (await fetch(`http://127.0.0.1:${admin}/readyz`)).ok, { timeout: 40_000, what: `port ${admin} to be ready` });

async function startGateway(port: number, admin: number): Promise<SpawnedProcess> {
  const env = { NOTIFICATION_WS_PORT: String(port), NOTIFICATION_ADMIN_PORT: String(admin), NOTIFICATION_TRUST_PROXY: '1' };
  const process = startRole('gateway', { redisUrl: redis.url }, env);
  later(() => end(process));
  await isReady(admin);
  return process;
}

/** How many sockets a gateway has. */
async function socketsAt(admin: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  return Number(/^carillon_connections(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1]);
}
const spread = () => Promise.all(gateways.map(({ admin }) => socketsAt(admin)));

async function follow(names: readonly string[]): Promise<Follower[]> {
  const followers: Follower[] = [];
  for (const name of names) {
    const follower = await Follower.start(sockets, name);
    later(() => follower.stop());
    followers.push(follower);
  }
  return followers;
}

beforeAll(async () => {
  redis = await startRedis();
  later(() => redis.stop());
  const place = { redisUrl: redis.url };
  for (const role of ['renderer', 'in-app'] as const) {
    const process = startRole(role, place);
    later(() => end(process));
  }
  const [port, admin] = [await freePort(), await freePort()];
  const env = { ...environmentOf(place), NOTIFICATION_HTTP_PORT: String(port), NOTIFICATION_ADMIN_PORT: String(admin) };
  const api = spawnProcess(fileURLToPath(new URL('../dist/api.js', import.meta.url)), { env });
  later(() => end(api));
  for (let index = 0; index < 2; index++) {
    const [port, admin] = [await freePort(), await freePort()];
    gateways.push({ port, admin, process: await startGateway(port, admin) });
  }
  await isReady(admin);
  const [one, two] = gateways.map(({ port, admin }) => [`127.0.0.1:${port}`, admin] as const);
  if (!one || !two) throw new RangeError('two gateways');
  proxy = await startProxy({ api: [`127.0.0.1:${port}`, admin], gateways: [one, two] });
  later(() => proxy.stop());
  http = `http://127.0.0.1:${proxy.port}`;
  sockets = `ws://127.0.0.1:${proxy.port}/socket`;
});

describe('in front of an api and two gateways', () => {
  let idle: Follower[];
  let openedAt: number;

  test('HTTP goes to the api', async () => {
    expect((await ask(`${http}/v1/templates/hello`, 'PUT', hello)).status).toBe(200);
    expect((await ask(`${http}/v1/tokens`, 'POST', { userId: 'ann' })).body.token).toEqual(expect.any(String));
    expect(await ask(`${http}/v1/notifications/none`, 'GET')).toMatchObject({ status: 404, body: { code: 'NOTIFICATION_NOT_FOUND' } });
    // The path of the sockets is the gateways', upgrade or not.
    expect((await fetch(`${http}/socket`)).status).toBe(426);
  });

  test('sockets are spread over both gateways, whatever their path', async () => {
    idle = await follow(Array.from({ length: CLIENTS / 2 }, (_, n) => `idle-${n}`));
    openedAt = Date.now();
    const elsewhere = await TestClient.connect(`ws://127.0.0.1:${proxy.port}/`);
    await elsewhere.close();
    await waitFor(async () => (await spread()).join() === '5,5', { what: 'five sockets at each' });
  });

  test('a gateway is told to stop: its clients go on at the other and miss nothing', async () => {
    const followers = await follow(Array.from({ length: CLIENTS }, (_, n) => `user-${n}`));
    expect(await spread()).toEqual([15, 15]);
    const sent = new Map<string, string[]>(followers.map(({ userId }) => [userId, []]));
    const send = async (rounds: number) => {
      for (let round = 0; round < rounds; round++) {
        const notifications = followers.map(({ userId }) => greet(userId, `${round}`));
        const { body } = await ask(`${http}/v1/notifications/bulk`, 'POST', { notifications });
        for (const [index, { id }] of body.results.entries()) sent.get(followers[index]?.userId ?? '')?.push(id);
        await sleep(50);
      }
    };
    await send(3);
    const [first] = gateways;
    first?.process.kill('SIGTERM');
    await Promise.all([send(20), first?.process.exited]);
    expect(await first?.process.exited).toEqual({ code: 0, signal: null });
    await waitFor(async () => (await socketsAt(gateways[1]?.admin ?? 0)) === CLIENTS + idle.length, {
      timeout: 30_000,
      what: 'all to be at the second gateway',
    });
    await send(2);

    for (const { userId, told } of followers) {
      await waitFor(() => told.length >= (sent.get(userId)?.length ?? 0), { timeout: 20_000, what: `${userId} to hear all` });
    }
    for (const { userId, told, lost } of followers) {
      expect([userId, lost]).toEqual([userId, 0]);
      expect(told.map(({ offset }) => offset)).toEqual(told.map((_, index) => index + 1));
      expect(told.map(({ id }) => id).toSorted()).toEqual(sent.get(userId)?.toSorted());
    }
    const closes = [...followers, ...idle].flatMap((follower) => follower.closes);
    expect(closes).toEqual(Array(15).fill(3001));
  });

  test('a gateway that is there again gets the next sockets', async () => {
    const [first] = gateways;
    if (!first) throw new RangeError('no gateway');
    first.process = await startGateway(first.port, first.admin);
    const next = async () => {
      const client = await TestClient.connect(sockets);
      later(() => client.close());
      return (await socketsAt(first.admin)) > 0;
    };
    await waitFor(next, { what: 'a socket at the first gateway again' });
  });

  test('a socket on which only pings pass is not cut', async () => {
    const closes = idle.map(({ closes }) => closes.length);
    await sleep(Math.max(0, openedAt + PING_EVERY + AND_MORE - Date.now()));
    expect(idle.map((follower) => follower.closes.length)).toEqual(closes);
    for (const follower of idle) expect([follower.userId, await follower.isAlive()]).toEqual([follower.userId, true]);
    expect(proxy.output()).not.toMatch(/ALERT|user-|idle-|127\.0\.0\.1:\d+ \[/);
  });
});

describe('what it tells those behind it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-proxy-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  /** Stands for an api or a gateway: answers with the headers it got. */
  async function startMirror(): Promise<number> {
    const server = createServer((request, response) => response.end(JSON.stringify(request.headers)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    later(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  async function startProxyOfMirrors(more: Record<string, string> = {}): Promise<RunningProxy> {
    const port = await startMirror();
    const mirror = [`127.0.0.1:${port}`, port] as const;
    const started = await startProxy({ api: mirror, gateways: [mirror, mirror] }, more);
    later(() => started.stop());
    return started;
  }

  /** What arrives of a request from 127.0.0.2 that claims to be from elsewhere. */
  function heard(port: number, path: string, ca?: string): Promise<IncomingHttpHeaders> {
    const headers = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'gopher' };
    const options = { host: '127.0.0.1', port, path, localAddress: '127.0.0.2', headers };
    return new Promise((resolve, reject) => {
      const sent = ca === undefined ? request(options) : secureRequest({ ...options, ca });
      sent.once('error', reject).once('response', async (response) => resolve(JSON.parse((await response.toArray()).join(''))));
      sent.end();
    });
  }

  test('the address a client really has, and nothing it claims', async () => {
    const { port } = await startProxyOfMirrors();
    for (const path of ['/socket', '/v1/notifications']) {
      expect(await heard(port, path)).toMatchObject({ 'x-forwarded-for': '127.0.0.2', 'x-forwarded-proto': 'http' });
    }
  });

  test('with a certificate it speaks TLS, and nothing else', async () => {
    const { cert, key } = makeCertificate(['127.0.0.1']);
    const file = join(folder, 'certificate.pem');
    writeFileSync(file, `${cert}${key}`, { mode: 0o600 });
    const { port } = await startProxyOfMirrors({ PROXY_CERTIFICATE: file });
    const arrived = await waitFor(() => heard(port, '/v1/notifications', cert), { what: 'an answer by TLS' });
    expect(arrived).toMatchObject({ 'x-forwarded-for': '127.0.0.2', 'x-forwarded-proto': 'https' });
    await expect(heard(port, '/')).rejects.toThrow();
  });
});
