import { generateKeyPairSync } from 'node:crypto';
import type { Provider } from '@carillon/channel';
import { never, outcomes, providerConformance } from '@carillon/channel/testing';
import { type FcmFault, type FcmStandIn, type FcmStep, freePort, redirectHosts, startFcm } from '@carillon/testkit';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { fcmDevice, messageTo } from '../test/messages.js';
import { fcmProvider } from './fcm.js';
import { readServiceAccount } from './service-account.js';

let fcm: FcmStandIn;
let provider: Provider;
let undo: () => void;

beforeEach(async () => {
  fcm = await startFcm();
  undo = redirectHosts(fcm.redirects);
  provider = fcmProvider(readServiceAccount(fcm.serviceAccount));
});
afterEach(async () => {
  await provider.close?.();
  undo();
  await fcm.close();
});

const one = async (token = 'token-1') => (await provider.send([messageTo(fcmDevice(token))], never))[0];

test('a message arrives on every platform with its text, its tag, and always the id and the link', async () => {
  const message = messageTo(fcmDevice('token-1'), { content: { title: 'Reminder', body: 'Tomorrow 🔔', url: '/appointments/7' } });
  const [sent] = await provider.send([message], never);
  expect(sent).toEqual({ ok: true, providerMessageId: fcm.sent[0]?.id });
  expect(fcm.sent[0]?.message).toEqual({
    token: 'token-1',
    notification: { title: 'Reminder', body: 'Tomorrow 🔔' },
    data: { notificationId: message.item.id, url: '/appointments/7' },
    android: { priority: 'high', notification: { tag: message.tag } },
    apns: { headers: { 'apns-collapse-id': message.tag, 'apns-priority': '10' } },
    webpush: { headers: { Urgency: 'normal', Topic: message.tag }, notification: { tag: message.tag } },
  });
});

test('the link is the content’s, else empty: one that came with the request and may not leave is not in it', async () => {
  const to = fcmDevice('token-1');
  const content = { title: 't', body: 'b' };
  await provider.send([messageTo(to, { content: { ...content, url: '/a' } }), messageTo(to, { content, url: '/b' })], never);
  expect(fcm.sent.map(({ message }) => message.data?.url)).toEqual(['/a', '']);
});

test.each([
  ['low', 'normal', '5', 'low'],
  ['normal', 'high', '10', 'normal'],
  ['high', 'high', '10', 'high'],
  ['urgent', 'high', '10', 'high'],
] as const)('priority %s', async (priority, android, apns, urgency) => {
  expect(outcomes(await provider.send([messageTo(fcmDevice('token-1'), { priority })], never))).toEqual(['sent']);
  const { message } = fcm.sent[0] ?? {};
  expect([message?.android?.priority, message?.apns?.headers?.['apns-priority'], message?.webpush?.headers?.Urgency]).toEqual([
    android,
    apns,
    urgency,
  ]);
});

test('an installation is reached by its fid, and one that is gone is unreachable', async () => {
  const to = { kind: 'fcm', value: JSON.stringify({ fid: 'installation-1' }) } as const;
  expect(outcomes(await provider.send([messageTo(to)], never))).toEqual(['sent']);
  expect(fcm.sent[0]).toMatchObject({ device: 'installation-1', message: { fid: 'installation-1' } });
  fcm.unregister(['installation-1']);
  expect(outcomes(await provider.send([messageTo(to)], never))).toEqual(['ADDRESS_UNREACHABLE']);
});

test('a repeat replaces what is shown, another notification does not', async () => {
  const message = messageTo(fcmDevice('token-1'));
  await provider.send([message], never);
  await provider.send([message], never);
  expect(fcm.sent).toHaveLength(2);
  expect(fcm.shown('token-1').size).toBe(1);
  await provider.send([messageTo(fcmDevice('token-1'))], never);
  expect(fcm.shown('token-1').size).toBe(2);
});

test.each<[FcmFault, string]>([
  ['UNREGISTERED', 'ADDRESS_UNREACHABLE'],
  ['INVALID_TOKEN', 'ADDRESS_UNREACHABLE'],
  ['INVALID_ARGUMENT', 'PROVIDER_REFUSED'],
  ['SENDER_ID_MISMATCH', 'PROVIDER_MISCONFIGURED'],
  ['THIRD_PARTY_AUTH_ERROR', 'PROVIDER_MISCONFIGURED'],
  ['QUOTA_EXCEEDED', 'PROVIDER_LIMITED'],
  ['UNAVAILABLE', 'PROVIDER_UNAVAILABLE'],
  ['INTERNAL', 'PROVIDER_UNAVAILABLE'],
])('%s is %s, after one call', async (fault, code) => {
  fcm.refuse('token-1', fault);
  const sent = await one();
  expect(outcomes([sent as never])).toEqual([code]);
  expect(fcm.calls()).toBe(1);
  if (sent?.ok === false) expect(sent.error.retryAfter).toBe(fault === 'QUOTA_EXCEEDED' ? 60_000 : undefined);
});

test.each<[string, FcmStep, string, number | undefined]>([
  ['503 with Retry-After', { status: 503, fault: 'UNAVAILABLE', retryAfter: 7 }, 'PROVIDER_UNAVAILABLE', 7000],
  ['429 with Retry-After', { status: 429, fault: 'QUOTA_EXCEEDED', retryAfter: 120 }, 'PROVIDER_LIMITED', 120_000],
  ['500 of a gateway', { status: 500, text: '<html>' }, 'PROVIDER_UNAVAILABLE', undefined],
  ['502 of a gateway', { status: 502, text: '<html>' }, 'PROVIDER_UNAVAILABLE', undefined],
  ['503 of a gateway', { status: 503, text: '<html>' }, 'PROVIDER_UNAVAILABLE', undefined],
  ['429 of a gateway', { status: 429, text: 'slow down', retryAfter: 3 }, 'PROVIDER_LIMITED', 3000],
  ['403 of a gateway', { status: 403, text: '<html>' }, 'PROVIDER_MISCONFIGURED', undefined],
  ['400 of a gateway', { status: 400, text: '<html>' }, 'PROVIDER_REFUSED', undefined],
  ['a 404 that says nothing of the device', { status: 404, text: '{"error":{"status":"NOT_FOUND"}}' }, 'PROVIDER_MISCONFIGURED', undefined],
  ['200 without sense', { status: 200, text: '<html>' }, 'PROVIDER_OUTCOME_UNKNOWN', undefined],
  ['stream reset', 'reset', 'PROVIDER_OUTCOME_UNKNOWN', undefined],
  ['stream reset after it was taken', 'accept, then reset', 'PROVIDER_OUTCOME_UNKNOWN', undefined],
  ['connection cut', 'cut', 'PROVIDER_OUTCOME_UNKNOWN', undefined],
  ['connection cut after it was taken', 'accept, then cut', 'PROVIDER_OUTCOME_UNKNOWN', undefined],
])('%s', async (_, step, code, retryAfter) => {
  fcm.script(step);
  const sent = await one();
  expect(outcomes([sent as never])).toEqual([code]);
  expect(fcm.calls()).toBe(1);
  if (sent?.ok === false) expect(sent.error.retryAfter).toBe(retryAfter);
  expect(outcomes([(await one()) as never])).toEqual(['sent']);
});

test('a token of another project does not stop the others, once our credentials are known to work', async () => {
  fcm.refuse('foreign', 'SENDER_ID_MISMATCH');
  expect(outcomes(await provider.send([messageTo(fcmDevice('foreign')), messageTo(fcmDevice('ours'))], never))).toEqual([
    'PROVIDER_REFUSED',
    'sent',
  ]);
  expect(outcomes([(await one('foreign')) as never])).toEqual(['PROVIDER_REFUSED']);
});

test('a platform that FCM lacks a certificate for does not stop the others, once our credentials are known to work', async () => {
  fcm.refuse('ios', 'THIRD_PARTY_AUTH_ERROR');
  expect(outcomes([(await one('ios')) as never])).toEqual(['PROVIDER_MISCONFIGURED']);
  expect(outcomes([(await one('ours')) as never])).toEqual(['sent']);
  expect(outcomes([(await one('ios')) as never])).toEqual(['PROVIDER_REFUSED']);
});

test('nothing of a message or its address stands in an error', async () => {
  fcm.refuse('secret-token', 'INVALID_ARGUMENT');
  const sent = await one('secret-token');
  const { error } = sent as Extract<typeof sent, { ok: false }>;
  expect(error.cause).toBeUndefined();
  expect(`${error.message} ${error.stack}`).not.toMatch(/secret-token|Tomorrow|Reminder/);
});

test('what cannot be sent is told apart without a call', async () => {
  const big = messageTo(fcmDevice('token-1'), { content: { title: 't', body: 'ü'.repeat(2000) } });
  const broken = messageTo({ kind: 'fcm', value: '{"neither":1}' });
  expect(outcomes(await provider.send([broken, big, messageTo(fcmDevice('token-2'))], never))).toEqual([
    'ADDRESS_UNREACHABLE',
    'PROVIDER_REFUSED',
    'sent',
  ]);
  expect(fcm.calls()).toBe(1);
});

test('content of the size the channel allows passes', async () => {
  const body = 'x'.repeat(3000 - JSON.stringify({ title: 'T', body: '', url: '/a' }).length);
  expect(outcomes(await provider.send([messageTo(fcmDevice('token-1'), { content: { title: 'T', body, url: '/a' } })], never))).toEqual([
    'sent',
  ]);
});

test('of 10,000 tokens, exactly the 1,000 that are unregistered are unreachable; one session per job, one access token', async () => {
  const tokens = Array.from({ length: 10_000 }, (_, i) => `token-${i}`);
  const gone = new Set(tokens.filter((_, i) => i % 10 === 3));
  fcm.unregister(gone);
  const unreachable = new Set<string>();
  for (let at = 0; at < tokens.length; at += 100) {
    const job = tokens.slice(at, at + 100);
    const sent = await provider.send(
      job.map((token) => messageTo(fcmDevice(token))),
      never,
    );
    for (const [i, outcome] of outcomes(sent).entries()) {
      if (outcome === 'ADDRESS_UNREACHABLE') unreachable.add(job[i] as string);
      else expect(outcome).toBe('sent');
    }
  }
  expect(unreachable).toEqual(gone);
  expect(fcm.sent).toHaveLength(9000);
  expect(fcm.sessions()).toBe(100);
  expect(fcm.tokens()).toBe(1);
});

test('more messages than the SDK takes at once are answered in order', async () => {
  fcm.unregister(['token-0', 'token-600']);
  const messages = Array.from({ length: 601 }, (_, i) => messageTo(fcmDevice(`token-${i}`)));
  const result = outcomes(await provider.send(messages, never));
  expect(result.flatMap((outcome, i) => (outcome === 'sent' ? [] : [i]))).toEqual([0, 600]);
  expect(result).toHaveLength(601);
});

describe('access token', () => {
  test.each<[string, FcmStep, string]>([
    ['refused', { status: 400, text: '{"error":"invalid_grant"}' }, 'PROVIDER_MISCONFIGURED'],
    ['forbidden', { status: 403, text: '{"error":"access_denied"}' }, 'PROVIDER_MISCONFIGURED'],
    ['cut off', 'cut', 'PROVIDER_UNAVAILABLE'],
  ])('%s: surely not sent', async (_, step, code) => {
    fcm.scriptTokens(step, step, step, step);
    expect(outcomes([(await one()) as never])).toEqual([code]);
    expect(fcm.calls()).toBe(0);
  });

  test('signed with a key that is not the account’s: refused', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const account = { ...JSON.parse(fcm.serviceAccount), private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
    await provider.close?.();
    provider = fcmProvider(readServiceAccount(JSON.stringify(account)));
    expect(outcomes([(await one()) as never])).toEqual(['PROVIDER_MISCONFIGURED']);
  });

  test('not to be had in time: surely not sent', async () => {
    fcm.scriptTokens('hang');
    const given = new AbortController();
    const sending = provider.send([messageTo(fcmDevice('token-1'))], given.signal);
    setTimeout(() => given.abort(), 300);
    expect(outcomes(await sending)).toEqual(['PROVIDER_UNAVAILABLE']);
    expect(fcm.calls()).toBe(0);
  });
});

test('nobody listening: surely not sent', async () => {
  await one();
  undo();
  const { 'oauth2.googleapis.com': tokens, ...rest } = fcm.redirects;
  const [[host, place]] = Object.entries(rest) as [[string, { port: number; ca: string }]];
  undo = redirectHosts({ 'oauth2.googleapis.com': tokens as never, [host]: { ...place, port: await freePort() } });
  expect(outcomes([(await one()) as never])).toEqual(['PROVIDER_UNAVAILABLE']);
});

test('when the caller gives up, what was handed over is unknown', async () => {
  await one();
  fcm.script('accept, then hang');
  const given = new AbortController();
  const sending = provider.send([messageTo(fcmDevice('token-2'))], given.signal);
  setTimeout(() => given.abort(), 300);
  expect(outcomes(await sending)).toEqual(['PROVIDER_OUTCOME_UNKNOWN']);
});

test('one message without an answer leaves those of its job known', async () => {
  await one();
  fcm.script('accept', 'accept, then hang', 'accept');
  const sent = await provider.send(
    ['a', 'b', 'c'].map((token) => messageTo(fcmDevice(token))),
    never,
  );
  expect(outcomes(sent).sort()).toEqual(['PROVIDER_OUTCOME_UNKNOWN', 'sent', 'sent']);
});

describe('as every provider, it', () => {
  let n = 0;
  const under = async () => {
    fcm.unregister(['gone']);
    const fresh = fcmProvider(readServiceAccount(fcm.serviceAccount));
    const received = () => fcm.sent.map(({ message }) => message);
    return { provider: fresh, address: () => fcmDevice(`token-${++n}`), refused: fcmDevice('gone'), received };
  };
  for (const { name, run } of providerConformance(under)) test(name, run);
});
