import { createECDH } from 'node:crypto';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Provider } from '@carillon/channel';
import { never, outcomes, providerConformance } from '@carillon/channel/testing';
import type { Address } from '@carillon/contracts';
import {
  freePort,
  redirectHosts,
  startWebPush,
  type WebPushStandIn,
  type WebPushStep,
  type WebPushSubscription,
  waitFor,
} from '@carillon/testkit';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import webPush from 'web-push';
import { messageTo } from '../test/messages.js';
import { webPushProvider } from './web-push.js';

const vapid = { subject: 'mailto:ops@clinic.example', ...webPush.generateVAPIDKeys() };
let service: WebPushStandIn;
let provider: Provider;
let undo: () => void;

beforeEach(async () => {
  service = await startWebPush();
  undo = redirectHosts(service.redirects);
  provider = webPushProvider(vapid);
});
afterEach(async () => {
  await provider.close?.();
  undo();
  await service.close();
});

const browser = (subscription: WebPushSubscription): Address => ({ kind: 'web', id: 'browser', value: JSON.stringify(subscription) });
const subscribe = () => browser(service.subscribe(vapid.publicKey));
const one = async (to = subscribe()) => (await provider.send([messageTo(to)], never))[0] as never;

test('a message arrives encrypted for the browser and signed by us, with its tag as topic and its priority as urgency', async () => {
  const subscription = service.subscribe(vapid.publicKey);
  const message = messageTo(browser(subscription), {
    priority: 'urgent',
    content: { title: 'Reminder', body: 'Tomorrow 🔔', url: '/appointments/7' },
  });
  expect(await provider.send([message], never)).toEqual([{ ok: true }]);
  expect(service.sent).toEqual([
    {
      endpoint: subscription.endpoint,
      payload: {
        title: 'Reminder',
        body: 'Tomorrow 🔔',
        url: '/appointments/7',
        notificationId: message.item.id,
        tag: message.tag,
      },
      ttl: 28 * 24 * 3600,
      topic: message.tag,
      urgency: 'high',
      at: expect.any(Number),
    },
  ]);
});

test('a repeat replaces what is shown, another notification does not', async () => {
  const subscription = service.subscribe(vapid.publicKey);
  const message = messageTo(browser(subscription));
  await provider.send([message], never);
  await provider.send([message], never);
  expect(service.sent).toHaveLength(2);
  expect(service.shown(subscription.endpoint).size).toBe(1);
  await provider.send([messageTo(browser(subscription))], never);
  expect(service.shown(subscription.endpoint).size).toBe(2);
});

test.each<[string, WebPushStep, string, number | undefined]>([
  ['404', { status: 404 }, 'ADDRESS_UNREACHABLE', undefined],
  ['410', { status: 410 }, 'ADDRESS_UNREACHABLE', undefined],
  ['401', { status: 401 }, 'PROVIDER_MISCONFIGURED', undefined],
  ['403', { status: 403 }, 'PROVIDER_MISCONFIGURED', undefined],
  ['405', { status: 405 }, 'PROVIDER_REFUSED', undefined],
  ['400', { status: 400 }, 'PROVIDER_REFUSED', undefined],
  ['413', { status: 413 }, 'PROVIDER_REFUSED', undefined],
  ['429', { status: 429 }, 'PROVIDER_LIMITED', 60_000],
  ['429 with Retry-After', { status: 429, retryAfter: 7 }, 'PROVIDER_LIMITED', 7000],
  ['500', { status: 500 }, 'PROVIDER_UNAVAILABLE', undefined],
  ['503 with Retry-After', { status: 503, retryAfter: 2 }, 'PROVIDER_UNAVAILABLE', 2000],
  ['reset', 'reset', 'PROVIDER_OUTCOME_UNKNOWN', undefined],
  ['reset after it was taken', 'accept, then reset', 'PROVIDER_OUTCOME_UNKNOWN', undefined],
])('%s', async (_, step, code, retryAfter) => {
  service.script(step);
  const sent = await one();
  expect(outcomes([sent])).toEqual([code]);
  expect(service.calls()).toBe(1);
  expect((sent as { error: { retryAfter?: number } }).error.retryAfter).toBe(retryAfter);
  expect(outcomes([await one()])).toEqual(['sent']);
});

test('Retry-After may be a date', async () => {
  service.script({ status: 503, retryAfter: new Date(Date.now() + 30_000).toUTCString() });
  const { error } = (await one()) as { error: { retryAfter: number } };
  expect(error.retryAfter).toBeGreaterThan(25_000);
  expect(error.retryAfter).toBeLessThanOrEqual(30_000);
});

test('a redirect is not followed', async () => {
  service.script({ status: 307, location: subscribe().value });
  expect(outcomes([await one()])).toEqual(['PROVIDER_REFUSED']);
  expect(service.calls()).toBe(1);
});

test('a subscription that is gone is unreachable, and only that one', async () => {
  const [gone, here] = [service.subscribe(), service.subscribe()];
  service.unsubscribe([gone.endpoint]);
  expect(outcomes(await provider.send([messageTo(browser(gone)), messageTo(browser(here))], never))).toEqual([
    'ADDRESS_UNREACHABLE',
    'sent',
  ]);
});

test('a subscription made with another key does not stop the others, once ours is known to work', async () => {
  const foreign = browser(service.subscribe(webPush.generateVAPIDKeys().publicKey));
  expect(outcomes([await one(foreign)])).toEqual(['PROVIDER_MISCONFIGURED']);
  expect(outcomes([await one()])).toEqual(['sent']);
  expect(outcomes([await one(foreign)])).toEqual(['PROVIDER_REFUSED']);
});

test('what a push service takes at most is its to say, and content of the size the channel allows passes', async () => {
  const body = 'x'.repeat(3000 - JSON.stringify({ title: 'T', body: '', url: '/a' }).length);
  const fits = messageTo(subscribe(), { content: { title: 'T', body, url: '/a' } });
  const big = messageTo(subscribe(), { content: { title: 'T', body: 'x'.repeat(4000) } });
  expect(outcomes(await provider.send([fits, big], never))).toEqual(['sent', 'PROVIDER_REFUSED']);
});

test.each([
  ['not JSON', 'nonsense'],
  ['no keys', JSON.stringify({ endpoint: 'https://push.example.net/x' })],
  ['a key that is none', JSON.stringify({ endpoint: 'https://push.example.net/x', keys: { p256dh: 'AAAA', auth: 'AAAA' } })],
  ['not https', JSON.stringify({ endpoint: 'http://push.example.net/x', keys: {} })],
])('an address that is %s is unreachable without a call', async (_, value) => {
  expect(outcomes([await one({ kind: 'web', value })])).toEqual(['ADDRESS_UNREACHABLE']);
  expect(service.calls()).toBe(0);
});

test('when the caller gives up, what was handed over is unknown', async () => {
  service.script('accept, then hang');
  const given = new AbortController();
  const sending = provider.send([messageTo(subscribe())], given.signal);
  setTimeout(() => given.abort(), 300);
  expect(outcomes(await sending)).toEqual(['PROVIDER_OUTCOME_UNKNOWN']);
});

test('nobody listening: surely not sent', async () => {
  const [[host, place]] = Object.entries(service.redirects) as [[string, { port: number; ca: string }]];
  const to = subscribe();
  undo();
  undo = redirectHosts({ [host]: { ...place, port: await freePort() } });
  expect(outcomes([await one(to)])).toEqual(['PROVIDER_UNAVAILABLE']);
});

test('somebody who is not who he says: surely not sent', async () => {
  const [[host, { port }]] = Object.entries(service.redirects) as [[string, { port: number; ca: string }]];
  const other = await startWebPush();
  const to = subscribe();
  undo();
  undo = redirectHosts({ [host]: { port, ca: other.redirects[host]?.ca as string } });
  expect(outcomes([await one(to)])).toEqual(['PROVIDER_UNAVAILABLE']);
  expect(service.calls()).toBe(0);
  await other.close();
});

test('an answer that does not end holds nobody up', async () => {
  service.script('accept, then ramble');
  expect(outcomes([await one()])).toEqual(['sent']);
  expect(outcomes([await one()])).toEqual(['sent']);
});

test('an answer whose rest never comes gives up its connection', async () => {
  const [[host, place]] = Object.entries(service.redirects) as [[string, { port: number; ca: string }]];
  const open = new Set<Socket>();
  // In front of the push service: lets so many bytes of an answer through, and then no more.
  const slow = createServer((client) => {
    open.add(client);
    client.once('close', () => open.delete(client));
    const upstream = connect(place.port, '127.0.0.1');
    let passed = 0;
    upstream.on('data', (part: Buffer) => {
      if (passed < 40_000) client.write(part);
      else upstream.pause();
      passed += part.length;
    });
    client.pipe(upstream);
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.once('close', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  const to = subscribe();
  undo();
  undo = redirectHosts({ [host]: { ...place, port: (slow.address() as AddressInfo).port } });
  service.script('accept, then ramble');
  expect(outcomes([await one(to)])).toEqual(['sent']);
  expect(open.size).toBe(1);
  await waitFor(() => open.size === 0, { timeout: 4_000, what: 'the end of the connection' });
  slow.close();
});

test('connections are kept: a hundred messages one after the other use one', async () => {
  const to = subscribe();
  for (let i = 0; i < 100; i++) expect(outcomes([await one(to)])).toEqual(['sent']);
  expect(service.connections()).toBe(1);
});

test.each(['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '0177.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0'])(
  'an endpoint at %s is not connected to, and stays registered',
  async (host) => {
    let connections = 0;
    const server = createServer(() => connections++);
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const { port } = server.address() as AddressInfo;
    const key = createECDH('prime256v1').generateKeys().toString('base64url');
    const subscription = { endpoint: `https://${host}:${port}/x`, keys: { p256dh: key, auth: 'AAAAAAAAAAAAAAAAAAAAAA' } };
    expect(outcomes([await one(browser(subscription))])).toEqual(['PROVIDER_REFUSED']);
    expect(connections).toBe(0);
    server.close();
  },
);

test('nothing of a message or its address stands in an error', async () => {
  const to = subscribe();
  service.script({ status: 400 });
  const { error } = (await one(to)) as { error: Error };
  expect(error.cause).toBeUndefined();
  expect(`${error.message} ${error.stack}`).not.toMatch(/push\.example\.net|Tomorrow|Reminder/);
});

describe('as every provider, it', () => {
  const under = async () => {
    const gone = service.subscribe();
    service.unsubscribe([gone.endpoint]);
    return { provider: webPushProvider(vapid), address: () => subscribe(), refused: browser(gone), received: () => service.sent };
  };
  for (const { name, run } of providerConformance(under)) test(name, run);
});
