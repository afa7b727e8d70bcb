import { once } from 'node:events';
import { get as getPlain, Agent as HttpAgent } from 'node:http';
import { Agent, get } from 'node:https';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { freePort, type RedirectTable, redirectHosts, startTwilio, type TwilioStandIn } from '@carillon/testkit';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { watchConnections } from './connections.js';

/** Short enough for a test to wait for, ms. */
const TIMEOUT = 300;
const HOST = 'api.twilio.com';
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

let twilio: TwilioStandIn;
beforeEach(async () => {
  twilio = await startTwilio({ latency: 2 * TIMEOUT });
  ends.push(() => twilio.close());
});

function watched(table: RedirectTable) {
  ends.push(redirectHosts(table));
  const agent = new Agent({ keepAlive: true });
  const connections = watchConnections([agent], TIMEOUT);
  ends.push(connections.close);
  return () =>
    new Promise<{ status?: number | undefined; mayHaveLeft?: boolean }>((resolve) => {
      const request = get(`https://${HOST}/`, { agent }, (response) => {
        response.resume().once('end', () => resolve({ status: response.statusCode }));
      }).once('error', () => resolve({ mayHaveLeft: connections.mayHaveLeft(request) }));
    });
}

test('a connection that is not made in time was never used', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const { port } = silent.address() as AddressInfo;
  expect(await watched({ [HOST]: { port, ca: twilio.redirects[HOST]?.ca ?? '' } })()).toEqual({ mayHaveLeft: false });
});

test('a certificate that is not trusted leaves the request unsent', async () => {
  const other = await startTwilio();
  ends.push(() => other.close());
  const ca = other.redirects[HOST]?.ca ?? '';
  expect(await watched({ [HOST]: { port: twilio.redirects[HOST]?.port ?? 0, ca } })()).toEqual({ mayHaveLeft: false });
  expect(twilio.calls()).toBe(0);
});

test('what breaks once the connection stands may have been handed over, on a first request', async () => {
  twilio.script('reset');
  expect(await watched(twilio.redirects)()).toEqual({ mayHaveLeft: true });
});

test('and on a later one, on a connection that outlives the time it had to be made in', async () => {
  const ask = watched(twilio.redirects);
  twilio.script({ status: 204 }, 'reset');
  expect(await ask()).toEqual({ status: 204 });
  expect(await ask()).toEqual({ mayHaveLeft: true });
  expect(twilio.calls()).toBe(2);
});

test('a refused connection left nothing, over TLS or not', async () => {
  const port = await freePort();
  expect(await watched({ [HOST]: { port, ca: twilio.redirects[HOST]?.ca ?? '' } })()).toEqual({ mayHaveLeft: false });
  const plain = new HttpAgent();
  const { mayHaveLeft, close } = watchConnections([plain], TIMEOUT);
  const request = getPlain(`http://127.0.0.1:${port}/`, { agent: plain });
  await once(request, 'error');
  expect(mayHaveLeft(request)).toBe(false);
  close();
});

test('of an agent that is not Node’s nothing is known, nor of what is no request', () => {
  const { mayHaveLeft, close } = watchConnections([{ some: 'proxy' }]);
  expect(mayHaveLeft({ socket: {} })).toBe(true);
  expect(mayHaveLeft({})).toBe(true);
  expect(mayHaveLeft(undefined)).toBe(true);
  close();
});

test('a connection that was made already, as a proxy’s is, counts as made and is left alone', async () => {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  ends.push(
    () => server.close(),
    () => socket.destroy(),
  );
  await once(socket, 'connect');
  const agent = new HttpAgent();
  agent.createConnection = () => socket;
  const { mayHaveLeft } = watchConnections([agent], 1);
  const request = getPlain('http://proxied.test/', { agent });
  await once(request, 'socket');
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([mayHaveLeft(request), socket.destroyed]).toEqual([true, false]);
  request.once('error', () => undefined);
});
