import { createServer, type Server, type Socket } from 'node:net';
import type { Message, Provider } from '@carillon/channel';
import { messageTo, never, providerConformance } from '@carillon/channel/testing';
import { type RedirectTable, redirectHosts, startTwilio, type TwilioStandIn, waitFor } from '@carillon/testkit';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createTwilio, type TwilioOptions } from './twilio.js';

const FROM = '+15005550006';
/** Short enough for a test to wait for, ms. */
const TIMEOUT = 400;

let twilio: TwilioStandIn;
let undo: () => void;
const opened: Provider[] = [];

beforeEach(async () => {
  twilio = await startTwilio();
  undo = redirectHosts(twilio.redirects);
});
afterEach(async () => {
  for (const provider of opened.splice(0)) await provider.close?.();
  undo();
  await twilio.close();
});

function open(options: Partial<TwilioOptions> = {}): Provider {
  const provider = createTwilio({ accountSid: twilio.accountSid, authToken: twilio.authToken, from: FROM, ...options });
  opened.push(provider);
  return provider;
}

const message = (to = '+15551234567', text = 'You have a new message'): Message =>
  messageTo({ kind: 'phone', value: to }, { id: 'n1', content: { text } });
const sendOne = async (provider: Provider, given = message(), signal = never) => (await provider.send([given], signal))[0];
const failure = (code: string, more: object = {}) => ({ ok: false, error: expect.objectContaining({ code, ...more }) });

test('a message is handed over once and answered with the id of the provider', async () => {
  const sent = await sendOne(open(), message('+15551234567', 'Grüße 🔔 & = +'));
  expect(twilio.accepted).toEqual([{ sid: expect.stringMatching(/^SM/), to: '+15551234567', from: FROM, body: 'Grüße 🔔 & = +' }]);
  expect(sent).toEqual({ ok: true, providerMessageId: twilio.accepted[0]?.sid });
  expect(twilio.calls()).toBe(1);
});

test('several messages are answered in their order', async () => {
  twilio.refuse('+15550000002', 21614);
  const sent = await open().send(
    ['+15550000001', '+15550000002', '+15550000003'].map((to) => message(to)),
    never,
  );
  expect(sent.map(({ ok }) => ok)).toEqual([true, false, true]);
  const sidOf = (to: string) => twilio.accepted.find((taken) => taken.to === to)?.sid;
  expect(sent[2]).toEqual({ ok: true, providerMessageId: sidOf('+15550000003') });
});

test('a messaging service sends in place of a number, and reports are asked for where we can be reached', async () => {
  const service = `MG${'a'.repeat(32)}`;
  await sendOne(open({ from: service, callback: 'https://notify.test/v1/providers/twilio/events' }), { ...message(), ref: 'n1/d&1' });
  expect(twilio.accepted[0]).toMatchObject({
    messagingServiceSid: service,
    statusCallback: 'https://notify.test/v1/providers/twilio/events?ref=n1%2Fd%261',
  });
  expect(twilio.accepted[0]).not.toHaveProperty('from');
});

test('a sender id is no messaging service because of its first letters', async () => {
  await sendOne(open({ from: 'MG Clinic' }));
  expect(twilio.accepted[0]).toMatchObject({ from: 'MG Clinic' });
  expect(twilio.accepted[0]).not.toHaveProperty('messagingServiceSid');
});

test.each([21606, 21659, 21703])(
  'a number that our sender does not suit (%i) stops nobody else, once others were reached',
  async (code) => {
    twilio.refuse('+447000000000', code);
    const provider = open();
    expect(await sendOne(provider, message('+447000000000'))).toEqual(failure('PROVIDER_MISCONFIGURED'));
    expect(await sendOne(provider)).toMatchObject({ ok: true });
    expect(await sendOne(provider, message('+447000000000'))).toEqual(failure('PROVIDER_REFUSED'));
  },
);

test('what is surely our own fault stays so, whoever was reached before', async () => {
  const provider = open();
  await sendOne(provider);
  twilio.script({ status: 401, code: 20003 });
  expect(await sendOne(provider)).toEqual(failure('PROVIDER_MISCONFIGURED'));
});

test('a number that has texted STOP is told from one that does not exist', async () => {
  twilio.refuse('+15551234567', 21610);
  expect(await sendOne(open())).toMatchObject({ ok: false, suppress: 'unsubscribed' });
  twilio.refuse('+15551234567', 21211);
  expect(await sendOne(open())).not.toHaveProperty('suppress');
});

test.each([21211, 21610, 21614, 30003, 30005, 30006])('a number refused with %i is unreachable', async (code) => {
  twilio.refuse('+15551234567', code);
  expect(await sendOne(open())).toMatchObject(failure('ADDRESS_UNREACHABLE'));
  expect(twilio.calls()).toBe(1);
});

test('no number and no text gets into an error', async () => {
  const sent = await sendOne(open(), message('+0999', 'secret text'));
  expect(sent).toEqual(failure('ADDRESS_UNREACHABLE'));
  const { error } = sent as { error: Error };
  expect(`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`).not.toMatch(/0999|secret text/);
});

test('a wrong token is a wrong setting, and so is an account that the SDK does not take for one', async () => {
  expect(await sendOne(open({ authToken: 'wrong' }))).toEqual(failure('PROVIDER_MISCONFIGURED'));
  expect(await sendOne(open({ accountSid: 'wrong' }))).toEqual(failure('PROVIDER_MISCONFIGURED'));
});

test.each([
  [{ status: 403 }, 'PROVIDER_MISCONFIGURED'],
  [{ status: 400, code: 21606 }, 'PROVIDER_MISCONFIGURED'],
  [{ status: 404, code: 20404 }, 'PROVIDER_MISCONFIGURED'],
  [{ status: 403, code: 21408 }, 'PROVIDER_REFUSED'],
  [{ status: 404 }, 'PROVIDER_MISCONFIGURED'],
  [{ status: 400, code: 21617 }, 'PROVIDER_REFUSED'],
  [{ status: 400 }, 'PROVIDER_REFUSED'],
  [{ status: 429, code: 20429 }, 'PROVIDER_LIMITED'],
  [{ status: 429 }, 'PROVIDER_LIMITED'],
  [{ status: 400, code: 21611 }, 'PROVIDER_LIMITED'],
  [{ status: 500, code: 20500 }, 'PROVIDER_UNAVAILABLE'],
  [{ status: 503 }, 'PROVIDER_UNAVAILABLE'],
  [{ status: 302 }, 'PROVIDER_MISCONFIGURED'],
] as const)('the answer %j is %s, after one call', async (step, code) => {
  twilio.script(step);
  expect(await sendOne(open())).toEqual(failure(code, { retryAfter: undefined }));
  expect(twilio.calls()).toBe(1);
  expect(twilio.accepted).toEqual([]);
});

test('Retry-After is handed on, in seconds and as a date', async () => {
  const provider = open();
  twilio.script({ status: 429, code: 20429, retryAfter: 2 }, { status: 503, retryAfter: 30 });
  expect(await sendOne(provider)).toEqual(failure('PROVIDER_LIMITED', { retryAfter: 2_000 }));
  expect(await sendOne(provider)).toEqual(failure('PROVIDER_UNAVAILABLE', { retryAfter: 30_000 }));
  twilio.script({ status: 429, retryAfter: new Date(Date.now() + 60_000).toUTCString() });
  const { error } = (await sendOne(provider)) as { error: { retryAfter: number } };
  expect(error.retryAfter).toBeGreaterThan(50_000);
  expect(error.retryAfter).toBeLessThanOrEqual(60_000);
});

test.each(['reset', 'accept, then reset', 'accept, then mumble'] as const)('after "%s" nobody knows', async (step) => {
  twilio.script(step);
  expect(await sendOne(open())).toEqual(failure('PROVIDER_OUTCOME_UNKNOWN'));
  expect(twilio.calls()).toBe(1);
});

test.each(['hang', 'accept, then hang'] as const)('after "%s" nobody knows, once the time is over', async (step) => {
  twilio.script(step);
  const start = Date.now();
  expect(await sendOne(open(), message(), AbortSignal.timeout(TIMEOUT))).toEqual(failure('PROVIDER_OUTCOME_UNKNOWN'));
  expect(Date.now() - start).toBeLessThan(TIMEOUT + 3_000);
});

test('a call that is given up while it is under way is answered at once: nobody knows', async () => {
  twilio.script('hang');
  const abort = new AbortController();
  const sending = sendOne(open(), message(), abort.signal);
  await waitFor(() => twilio.calls() === 1, { what: 'the call' });
  abort.abort();
  expect(await sending).toEqual(failure('PROVIDER_OUTCOME_UNKNOWN'));
});

test('a message whose time was over before the call was not sent', async () => {
  expect(await sendOne(open(), message(), AbortSignal.abort())).toEqual(failure('PROVIDER_UNAVAILABLE'));
  expect(twilio.calls()).toBe(0);
});

/** The stand-in's place, taken by whatever `accept` makes of a connection. */
async function elsewhere(accept: (socket: Socket) => void): Promise<{ server: Server; table: RedirectTable }> {
  const server = createServer(accept);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const [host, { ca }] = Object.entries(twilio.redirects)[0] as [string, RedirectTable[string] & object];
  return { server, table: { [host]: { port: (server.address() as { port: number }).port, ca } } };
}

test.each([
  ['refused', undefined],
  ['cut during the handshake', (socket: Socket) => socket.destroy()],
  ['answered by something else', (socket: Socket) => socket.end('220 mail.test ESMTP\r\n')],
])('where the connection is %s, nothing was sent', async (_how, accept) => {
  const { server, table } = await elsewhere(accept ?? (() => undefined));
  if (accept === undefined) await new Promise((resolve) => server.close(resolve));
  const back = redirectHosts(table);
  try {
    expect(await sendOne(open())).toEqual(failure('PROVIDER_UNAVAILABLE'));
  } finally {
    back();
    server.close();
  }
});

describe('as every provider, it', () => {
  let n = 0;
  const address = (value = `+1555${1_000_000 + ++n}`) => ({ kind: 'phone', value }) as const;
  const under = async () => {
    twilio.refuse('+15550000000', 21614);
    const provider = open({ callback: 'https://notify.test/v1/providers/twilio/events' });
    return { provider, address, refused: address('+15550000000'), received: () => twilio.accepted };
  };
  for (const { name, run } of providerConformance(under)) test(name, run);
});
