import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Provider } from '@carillon/channel';
import { never, providerConformance } from '@carillon/channel/testing';
import { freePort, redirectHosts, type SendGridStandIn, startSendGrid, waitFor } from '@carillon/testkit';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { failure, message, send } from '../test/message.js';
import { createSendGrid, type SendGridOptions } from './sendgrid.js';

const open: { close?(): unknown }[] = [];
let sendgrid: SendGridStandIn;
beforeEach(async () => {
  sendgrid = await startSendGrid();
  open.push(sendgrid);
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close?.();
});

const provider = (options: Partial<SendGridOptions> = {}): Provider => {
  const made = createSendGrid({ apiKey: sendgrid.apiKey, baseUrl: sendgrid.baseUrl, from: 'us@clinic.example', ...options });
  open.push(made);
  return made;
};

test('a mail is sent with text before HTML, and SendGrid learns the reference only', async () => {
  const content = { subject: 'Hello', text: 'text', html: '<p>html</p>' };
  const sent = await send(provider(), message({ content, unsubscribeUrl: 'https://clinic.example/unsubscribe/token' }));
  const [accepted] = sendgrid.accepted;
  expect(sent).toEqual({ ok: true, providerMessageId: accepted?.id });
  expect(accepted?.raw).toEqual({
    personalizations: [{ to: [{ email: 'ada@home.example' }] }],
    from: { email: 'us@clinic.example' },
    subject: 'Hello',
    content: [
      { type: 'text/plain', value: 'text' },
      { type: 'text/html', value: '<p>html</p>' },
    ],
    headers: {
      'List-Unsubscribe': '<https://clinic.example/unsubscribe/token>',
      'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
    },
    custom_args: { carillon: 'n1' },
  });
});

test('a template may name sender and reply address; without a link there is nothing to unsubscribe', async () => {
  await send(provider(), message({ options: { from: 'dr@clinic.example', replyTo: 'desk@clinic.example' } }));
  expect(sendgrid.accepted[0]).toMatchObject({ from: 'dr@clinic.example', replyTo: 'desk@clinic.example', headers: {} });
  expect(sendgrid.accepted[0]).not.toHaveProperty('html');
});

test('values with the marks of substitutions and templates stay as they are', async () => {
  const content = { subject: '{{name}} -name- ü 🔔', text: '{{{x}}} %name% <%= y %>' };
  await send(provider(), message({ content }));
  expect(sendgrid.accepted[0]).toMatchObject(content);
});

test.each([
  [400, 'PROVIDER_REFUSED'],
  [401, 'PROVIDER_MISCONFIGURED'],
  [403, 'PROVIDER_MISCONFIGURED'],
  [404, 'PROVIDER_MISCONFIGURED'],
  [413, 'PROVIDER_REFUSED'],
  [429, 'PROVIDER_LIMITED'],
  [500, 'PROVIDER_UNAVAILABLE'],
  [502, 'PROVIDER_UNAVAILABLE'],
  [503, 'PROVIDER_UNAVAILABLE'],
])('%i is %s, after one call', async (status, code) => {
  sendgrid.script({ status, body: { errors: [{ message: 'ada@home.example is not allowed', field: 'to', help: null }] } });
  expect(failure(await send(provider()))).toEqual({ code, retryAfter: undefined });
  expect(sendgrid.calls).toHaveLength(1);
});

test('a wrong key is PROVIDER_MISCONFIGURED', async () => {
  expect(failure(await send(provider({ apiKey: 'SG.wrong' }))).code).toBe('PROVIDER_MISCONFIGURED');
});

test('a redirect is not followed and not taken for success', async () => {
  sendgrid.script({ status: 302, headers: { Location: `${sendgrid.baseUrl}/elsewhere` } });
  expect(failure(await send(provider())).code).toBe('PROVIDER_MISCONFIGURED');
  expect(sendgrid.calls).toHaveLength(1);
});

test('a pause is as long as Retry-After says, else until X-RateLimit-Reset', async () => {
  const date = new Date(Date.now() + 30_000).toUTCString();
  const reset = `${Math.floor(Date.now() / 1000) + 20}`;
  sendgrid.script(
    { status: 429, headers: { 'Retry-After': '2', 'X-RateLimit-Reset': reset } },
    { status: 503, headers: { 'Retry-After': '7' } },
    { status: 429, headers: { 'Retry-After': date } },
    { status: 429, headers: { 'X-RateLimit-Reset': reset } },
    { status: 429, headers: { 'X-RateLimit-Reset': '1' } },
  );
  const to = provider();
  const pauses: (number | undefined)[] = [];
  for (let i = 0; i < 5; i++) pauses.push(failure(await send(to)).retryAfter);
  expect(pauses.slice(0, 2)).toEqual([2000, 7000]);
  expect(pauses[2]).toBeGreaterThan(25_000);
  expect(pauses[2]).toBeLessThanOrEqual(30_000);
  expect(pauses[3]).toBeGreaterThan(15_000);
  expect(pauses[3]).toBeLessThanOrEqual(20_000);
  expect(pauses[4]).toBe(0);
});

test('a refused connection and a name nobody knows are PROVIDER_UNAVAILABLE', async () => {
  for (const baseUrl of [`http://127.0.0.1:${await freePort()}`, 'http://nobody.invalid']) {
    expect(failure(await send(provider({ baseUrl }))).code).toBe('PROVIDER_UNAVAILABLE');
  }
});

test('a call that is never answered is PROVIDER_OUTCOME_UNKNOWN in time, accepted or not', async () => {
  sendgrid.script('hang after accept', 'hang');
  const to = provider();
  expect(failure(await send(to, message(), AbortSignal.timeout(500))).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
  expect(failure(await send(to, message(), AbortSignal.timeout(500))).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
  expect(sendgrid.accepted).toHaveLength(1);
});

test('a reset after the request was handed over is PROVIDER_OUTCOME_UNKNOWN, accepted or not', async () => {
  sendgrid.script('reset after accept', 'reset before accept');
  const to = provider();
  expect(failure(await send(to)).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
  expect(failure(await send(to)).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
  expect(sendgrid.accepted).toHaveLength(1);
});

test('a signal given before the call sends nothing; one given during it leaves the outcome unknown', async () => {
  expect(failure(await send(provider(), message(), AbortSignal.abort())).code).toBe('PROVIDER_UNAVAILABLE');
  expect(sendgrid.calls).toHaveLength(0);
  sendgrid.script('hang');
  const stop = new AbortController();
  const sending = send(provider(), message(), stop.signal);
  await waitFor(() => sendgrid.calls[0]?.status, { what: 'the call' });
  stop.abort();
  expect(failure(await sending).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
});

test('connections are reused', async () => {
  const to = provider();
  for (let i = 0; i < 5; i++) expect((await send(to)).ok).toBe(true);
  expect(sendgrid.connections).toBe(1);
});

/** A server that breaks each connection as soon as it has heard something. */
async function breaking(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return (server.address() as AddressInfo).port;
}

const breakOnData = (socket: Socket) => {
  socket.on('error', () => undefined);
  socket.once('data', () => socket.resetAndDestroy());
};

test('the same reset means another thing before the TLS handshake than after it', async () => {
  const port = await breaking(createServer(breakOnData));
  expect(failure(await send(provider({ baseUrl: `https://127.0.0.1:${port}` }))).code).toBe('PROVIDER_UNAVAILABLE');
  expect(failure(await send(provider({ baseUrl: `http://127.0.0.1:${port}` }))).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
});

test('a handshake that never ends is PROVIDER_UNAVAILABLE: nothing was sent', async () => {
  const port = await breaking(createServer((socket) => socket.on('error', () => undefined).resume()));
  const to = provider({ baseUrl: `https://127.0.0.1:${port}` });
  expect(failure(await send(to, message(), AbortSignal.timeout(500))).code).toBe('PROVIDER_UNAVAILABLE');
});

test('over TLS, a certificate nobody vouches for sends nothing, and an answer lost after the handshake is unknown', async () => {
  const secure = await startSendGrid({ tls: true });
  open.push(secure);
  const { apiKey, baseUrl } = secure;
  expect(failure(await send(provider({ apiKey, baseUrl }))).code).toBe('PROVIDER_UNAVAILABLE');
  expect(secure.calls).toHaveLength(0);

  // Without a base address it is SendGrid's own host that is called.
  const own = createSendGrid({ apiKey, from: 'us@clinic.example' });
  open.push(own, { close: redirectHosts(secure.redirects) });
  secure.script('hang after accept', 'reset after accept');
  expect(failure(await send(own, message(), AbortSignal.timeout(1000))).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
  expect(failure(await send(own)).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
  expect((await send(own)).ok).toBe(true);
  expect(secure.accepted).toHaveLength(3);
});

test('an answer that breaks off after its status is not taken for more than it is', async () => {
  const answer = (status: string) => (socket: Socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 100\r\n\r\n{`, () => socket.destroy()));
  };
  const accepted = await breaking(createServer(answer('202 Accepted')));
  const failing = await breaking(createServer(answer('503 Service Unavailable')));
  expect(failure(await send(provider({ baseUrl: `http://127.0.0.1:${accepted}` }))).code).toBe('PROVIDER_OUTCOME_UNKNOWN');
  expect(failure(await send(provider({ baseUrl: `http://127.0.0.1:${failing}` }))).code).toBe('PROVIDER_UNAVAILABLE');
});

test('many at once are answered each for itself, in order', async () => {
  sendgrid.script({ match: 'bad@home.example', next: { status: 400 } });
  const messages = ['a@home.example', 'bad@home.example', 'not an address', 'c@home.example'].map((value) =>
    message({ to: { kind: 'email', value } }),
  );
  const sent = await provider().send(messages, never);
  expect(sent.map((one) => (one.ok ? 'sent' : one.error.code))).toEqual(['sent', 'PROVIDER_REFUSED', 'PROVIDER_REFUSED', 'sent']);
  expect(sendgrid.accepted.map(({ to }) => to).sort()).toEqual(['a@home.example', 'c@home.example']);
});

describe('as every provider, it', () => {
  let n = 0;
  const to = (value: string) => ({ kind: 'email', value }) as const;
  const under = async () => {
    sendgrid.script({ match: 'nobody@home.example', next: { status: 400 } });
    const received = () => sendgrid.accepted.map(({ raw }) => raw);
    return { provider: provider(), address: () => to(`ada${++n}@home.example`), refused: to('nobody@home.example'), received };
  };
  for (const { name, run } of providerConformance(under)) test(name, run);
});
